"""`manage.py enqueue TASK`: post jobs."""

import argparse
import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from jobs.api.schemas import CENTURY
from jobs.management.command import MOST, StationCommand, add_arguments_of_a_job, add_json, number
from jobs.models import Job
from jobs.posting import Post, PostsRefused, post
from jobs.states import ENDED, State

AT_ONCE = 500
LOOK_EVERY = 0.2


class Command(StationCommand):
    help = "Post a job, or many of the same; prints their ids."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("task", help="the task's name")
        add_arguments_of_a_job(parser)
        parser.add_argument("--queue")
        parser.add_argument("--priority", type=int, choices=range(10), help="9 goes first")
        parser.add_argument("--delay", type=_seconds, metavar="S", help="seconds from now")
        parser.add_argument("--expires", type=_seconds, metavar="S", help="seconds from now")
        parser.add_argument("--unique-key", dest="unique_key")
        parser.add_argument("--count", type=number(MOST), default=1, metavar="N", help="so many of them")
        parser.add_argument("--wait", action="store_true", help="until all have ended; exit 1 if one ended badly")
        add_json(parser)

    def handle(self, *, count: int, wait: bool, as_json: bool, **given: Any) -> None:
        ids = [id_ for part in self.progress(_posted(_one(given), count), count, "Enqueuing") for id_ in part]
        states = self._ended(ids) if wait else {}
        if as_json:
            self.tell_json({"task_ids": ids, **({"states": states} if wait else {})})
        else:
            for id_ in ids:
                self.tell(f"{id_} {states[id_]}" if wait else id_)
        bad = [state for state in states.values() if state != State.SUCCEEDED]
        self.refuse([f"{len(bad)} of {len(ids)} ended badly: {', '.join(sorted(set(bad)))}."] if bad else [])

    def _ended(self, ids: list[str]) -> dict[str, str]:
        """The state of each job once all have ended."""
        for _ in self.progress(_endings(ids), len(ids), "Running"):
            pass
        return dict(Job.objects.filter(id__in=ids).values_list("id", "state"))


def _one(given: dict[str, Any]) -> Post:
    names = ("task", "queue", "priority", "delay", "expires", "unique_key")
    chosen = {name: given[name] for name in names}
    return Post(args=given["job_args"] or [], kwargs=given["job_kwargs"] or {}, **chosen)


def _posted(one: Post, count: int) -> Iterator[list[str]]:
    """The ids, by one INSERT for every AT_ONCE jobs."""
    for start in range(0, count, AT_ONCE):
        try:
            yield [posted.task_id for posted in post([one] * min(AT_ONCE, count - start))]
        except PostsRefused as refused:
            raise CommandError(str(refused.refusals[0][1])) from refused


def _endings(ids: list[str]) -> Iterator[None]:
    """One step for each job that has ended."""
    seen = 0
    while seen < len(set(ids)):
        ended = sum(
            Job.objects.filter(id__in=ids[start : start + AT_ONCE], state__in=ENDED).count()
            for start in range(0, len(ids), AT_ONCE)
        )
        yield from [None] * (ended - seen)
        seen = max(seen, ended)
        if seen < len(set(ids)):
            time.sleep(LOOK_EVERY)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= CENTURY:
        raise argparse.ArgumentTypeError(f"seconds from now: 0 to {CENTURY:,}")
    return value
