"""What the drill's jobs do: say in the journal which attempt began and which came to its end, by the claim's token."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from celery import Task, shared_task

from jobs.drill import journal
from jobs.ledger.current import current_job

#: Between two tries of a job that asks for a retry, in seconds.
PAUSE = 0.5


@shared_task(name="drill.work")
def work(run: str, seconds: float) -> None:
    """Takes its time."""
    with _told(run):
        time.sleep(seconds)


@shared_task(name="drill.flaky", bind=True, max_retries=5)
def flaky(self: Task, run: str, failures: int) -> None:
    """Fails so many times, and asks for a retry each time."""
    with _told(run):
        if self.request.retries < failures:
            raise self.retry(exc=ConnectionError(f"failure {self.request.retries + 1}"), countdown=PAUSE)


@shared_task(name="drill.fail")
def fail(run: str) -> None:
    """Fails for good."""
    with _told(run):
        raise ValueError("meant to fail")


@shared_task(name="drill.collect")
def collect(results: Sequence[None], run: str, members: int) -> None:
    """The body of a chord: every member must have come to it once."""
    with _told(run):
        if len(results) != members:
            raise AssertionError(f"{len(results)} results of {members} members")


@contextmanager
def _told(run: str) -> Iterator[None]:
    """Journal the start of this attempt, and its end or its error if the body comes to one."""
    held = current_job()
    assert held is not None, "the drill's tasks run in a worker"
    told = journal.of(run)
    told.write("start", held.id, held.attempt, held.token)
    try:
        yield
    except Exception:
        told.write("failed", held.id, held.attempt, held.token)
        raise
    told.write("end", held.id, held.attempt, held.token)
