"""Chains and chords of journaled jobs, as functions that a station's console can call."""

from collections.abc import Sequence
from typing import Any

from celery import Task, chain, chord, shared_task

from tests.plain_tasks import journaled, write


@shared_task(bind=True)
def collected(self: Task, ids: Sequence[str]) -> list[str]:
    """The callback of a chord: journaled, and returns what it was given."""
    for word in ("start", "end"):
        write(f"{word} {self.request.id}")
    return list(ids)


def chained(seconds: float, queue: str) -> list[str]:
    """Two steps, the second in this queue; the ids of both."""
    first, second = journaled.s(seconds), journaled.si(0).set(queue=queue)
    last = chain(first, second).apply_async()
    return [str(last.parent.id), str(last.id)]


def chorded(members: int, seconds: float, queue: str = "default") -> tuple[list[str], str]:
    """So many members, and a callback in this queue; their ids and its own."""
    header: Any = [journaled.s(seconds) for _ in range(members)]
    callback = chord(header)(collected.s().set(queue=queue))
    return [str(each.id) for each in callback.parent.results], str(callback.id)
