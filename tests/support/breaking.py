"""What fault tests do to workers, and how long it may take to mend."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import current_app

from tests.plain_tasks import journaled
from tests.support import calls
from tests.support.figures import tell
from tests.support.processes import Process, kill
from tests.support.station import Station

#: With these tasks a station knows the plain ones and those that break things.
BREAKING = {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.breaking"}
#: Seconds until a dead worker's jobs run elsewhere (45, here at a tenth), and what a busy machine may add.
RESCUED, SLACK = 4.5, 10.0


def post_many(station: Station, count: int, seconds: float = 0, **options: Any) -> list[str]:
    """So many `journaled` jobs, posted one by one in a process of this station; their ids."""
    return station.call(many, count, seconds, options)


def many(count: int, seconds: float, options: dict[str, Any]) -> list[str]:
    return [calls.apply(journaled.name, [seconds], {}, options) for _ in range(count)]


def tell_worker(name: str, command: str, arguments: dict[str, Any]) -> None:
    """A remote control command for one worker."""
    current_app.control.broadcast(command, arguments=arguments, destination=[name])


def began(station: Station, id: str, times: int = 1, timeout: float = 30) -> None:
    """Waits until the job's body has begun so many times."""
    station.wait(lambda: station.journal().count(f"start {id}") >= times, timeout, f"start {times} of {id}")


def taken(station: Station, id: str, workers: Sequence[Process]) -> tuple[Process, list[Process]]:
    """Waits until the job's body has begun; the worker that took it, and the others."""
    began(station, id)
    pid = station.sql("SELECT pid FROM jobs_worker WHERE id = %s", station.job(id)["worker_id"])[0]["pid"]
    [taker] = [worker for worker in workers if worker.pid == pid]
    return taker, [worker for worker in workers if worker is not taker]


def all_began(station: Station, ids: Sequence[str], times: int = 1) -> None:
    for id in ids:
        began(station, id, times)


def child_of(station: Station, worker: Process) -> int:
    """The process that runs the bodies: the only child of a worker with one."""
    return station.wait(lambda: len(worker.children()) == 1 and worker.children()[0])


def freeze(worker: Process) -> list[int]:
    """The whole worker stands still, and keeps its connections; what to thaw."""
    pids = [worker.pid, *worker.children()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


@contextmanager
def within(row: str, what: str, bound: float) -> Iterator[None]:
    """Keeps the seconds that it took as a figure of that row, and asserts that they are no more than the bound."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    tell(row, what, took)
    assert took <= bound, f"{what}: {took:.1f}, at most {bound:g}"


def thaw(pids: Sequence[int]) -> None:
    for pid in pids:
        kill(pid, signal.SIGCONT)


def gone(pid: int) -> bool:
    """Whether this process has ended; who has ended and is not yet waited for counts as gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
