"""Tasks that break what runs them. Each says in the journal that it began and that it ended, by its id."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from celery import Task, shared_task
from celery.worker.control import control_command

from tests.plain_tasks import lines, write


def out_of_memory() -> None:
    """What the shell calls exit code 137."""
    os._exit(137)


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def container() -> None:
    """The whole worker at once, as a container ends whose memory has run out."""
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


DEATHS: dict[str, Callable[[], None]] = {
    "out_of_memory": out_of_memory,
    "segfault": segfault,
    "container": container,
}


@shared_task(bind=True)
def poison(self: Task, death: str) -> None:
    """Ends what runs it, every time."""
    write(f"start {self.request.id}")
    DEATHS[death]()


@shared_task(bind=True, retry_on_worker_lost=True, max_retries=1, default_retry_delay=3)
def retried_poison(self: Task, death: str) -> None:
    """The same; it asks Celery to count a lost worker as one of its retries."""
    write(f"start {self.request.id}")
    DEATHS[death]()


@shared_task(bind=True)
def hangs_once(self: Task, seconds: float = 0) -> str:
    """Never ends the first time."""
    write(f"start {self.request.id}")
    first = lines().count(f"start {self.request.id}") == 1
    time.sleep(3600 if first else seconds)
    write(f"end {self.request.id}")
    return str(self.request.id)


@shared_task(bind=True)
def patient(self: Task) -> str:
    """Ends when the journal says that it may."""
    write(f"start {self.request.id}")
    while f"go {self.request.id}" not in lines():
        time.sleep(0.1)
    write(f"end {self.request.id}")
    return str(self.request.id)


@shared_task(bind=True, soft_time_limit=1, time_limit=2)
def deaf(self: Task) -> None:
    """Takes the soft limit for one error among others."""
    write(f"start {self.request.id}")
    while True:
        try:
            time.sleep(60)
        except Exception:  # as much code does
            continue


@control_command(args=[("until", str)])
def stall(state: Any, until: str) -> None:
    """The worker's main process stands still until the journal says so; its threads and children go on."""
    write(f"stall until {until}")
    while until not in lines():
        time.sleep(0.1)
