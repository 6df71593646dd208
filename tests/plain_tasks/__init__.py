"""Tasks as any Celery user writes them; this module knows nothing of Stationmaster.

What really ran is told by a journal: a file of lines, in the order in which they were appended.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import Task, chain, group, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

JOURNAL = Path(os.environ.get("JOURNAL", os.devnull))


def write(line: str) -> None:
    """Append one line; lines of several processes don't mix."""
    file = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def lines() -> list[str]:
    """What the journal says so far."""
    return JOURNAL.read_text().splitlines() if JOURNAL.exists() else []


# --- that succeed ---


@shared_task
def add(x: float, y: float) -> float:
    return x + y


@shared_task
def total(numbers: Sequence[float]) -> float:
    return sum(numbers)


@shared_task
def echo(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": list(args), "kwargs": kwargs}


@shared_task
def note(word: str) -> str:
    write(word)
    return word


@shared_task
def slow(seconds: float, word: str = "slow") -> str:
    write(f"start {word}")
    time.sleep(seconds)
    write(f"end {word}")
    return word


@shared_task(bind=True)
def journaled(self: Task, seconds: float = 0) -> str:
    """Says in the journal that it began and that it ended, by its id."""
    write(f"start {self.request.id}")
    time.sleep(seconds)
    write(f"end {self.request.id}")
    return str(self.request.id)


@shared_task(bind=True)
def whoami(self: Task) -> dict[str, Any]:
    request = self.request
    write(f"ran {request.id}")
    names = "id root_id parent_id group retries eta expires".split()
    return {**{name: getattr(request, name) for name in names}, "priority": request.delivery_info["priority"]}


@shared_task(ignore_result=True)
def quiet(word: str) -> str:
    write(word)
    return "nobody sees this"


@shared_task
def spawn(word: str) -> str:
    return str(note.delay(word).id)


@shared_task(bind=True)
def counting(self: Task, steps: int) -> None:
    """Tells how far it is, as Celery's guide does it."""
    for step in range(steps):
        self.update_state(state="PROGRESS", meta={"done": step})
        time.sleep(0.05)


# --- that fail ---


@shared_task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@shared_task(bind=True, max_retries=2)
def flaky(self: Task, word: str, failures: int, countdown: float = 0.1) -> int:
    """Fails so many times, and says so by `self.retry`."""
    write(word)
    if self.request.retries < failures:
        raise self.retry(exc=ConnectionError(f"no answer {self.request.retries}"), countdown=countdown)
    return int(self.request.retries)


@shared_task(
    bind=True,
    autoretry_for=(ConnectionError,),
    retry_backoff=True,
    retry_backoff_max=1,
    retry_jitter=True,
    max_retries=2,
)
def wobbly(self: Task, word: str, failures: int) -> int:
    """Fails so many times, and leaves the retrying to Celery."""
    write(word)
    if self.request.retries < failures:
        raise ConnectionError(f"no answer {self.request.retries}")
    return int(self.request.retries)


@shared_task(bind=True, max_retries=1, ignore_result=True)
def quiet_flaky(self: Task, word: str) -> None:
    write(word)
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)


@shared_task(bind=True, max_retries=1)
def mendable(self: Task, word: str, value: float = 0, countdown: float = 0.1) -> float:
    """Fails until the journal says that `word` was mended."""
    write(f"try {word}")
    if f"mended {word}" not in lines():
        raise self.retry(exc=ConnectionError(f"{word} is broken"), countdown=countdown)
    return value


@shared_task(bind=True, max_retries=1)
def vague(self: Task, word: str) -> None:
    """Fails, and asks for a retry without saying why."""
    try:
        raise ConnectionError(f"{word} is broken")
    except ConnectionError:
        raise self.retry(countdown=0.1) from None


@shared_task
def breakable(word: str, value: float = 0) -> float:
    """Fails until the journal says that `word` was mended, and asks for no retry."""
    write(f"try {word}")
    if f"mended {word}" not in lines():
        raise ConnectionError(f"{word} is broken")
    return value


@shared_task
def unstorable() -> object:
    """Returns what JSON can't hold."""
    return object()


@shared_task(soft_time_limit=1, time_limit=2)
def endless() -> None:
    """Doesn't listen to the soft limit."""
    write("endless")
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        time.sleep(60)


@shared_task(soft_time_limit=1, time_limit=30)
def long_winded() -> None:
    time.sleep(20)


@shared_task
def ignoring(word: str) -> None:
    write(word)
    raise Ignore


@shared_task
def rejecting(word: str, times: int) -> int:
    """Goes back to its queue so many times."""
    write(word)
    if lines().count(word) <= times:
        raise Reject("not now", requeue=True)
    return lines().count(word)


@shared_task
def refusing() -> None:
    raise Reject("never", requeue=False)


# --- that end their process ---


@shared_task
def exiting(word: str, times: int) -> str:
    """Ends its process hard, so many times."""
    write(word)
    if lines().count(word) <= times:
        os._exit(1)
    return word


@shared_task
def out_of_memory(word: str) -> None:
    """Its process is killed, as the kernel does it when memory ends."""
    write(word)
    os.kill(os.getpid(), signal.SIGKILL)


# --- with classes of their own ---


class Logged(Task):
    """A base class that notes what became of each call."""

    abstract = True

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        write(f"success {task_id}")

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        write(f"failure {task_id}")


@shared_task(base=Logged)
def logged(word: str) -> str:
    if word == "fail":
        raise ValueError(word)
    return word


@shared_task(bind=True)
def replaced(self: Task, x: float) -> Any:
    """Hands its id to another task."""
    write(f"replaced {self.request.id}")
    return self.replace(add.s(x, 1))


@shared_task(bind=True)
def replaced_by_chain(self: Task, x: float, broken: str = "") -> Any:
    """Hands its id to the last of two steps; the first is broken if a word is given."""
    first = breakable.s(broken, x) if broken else add.s(x, 1)
    return self.replace(chain(first, add.s(10)))


@shared_task(bind=True)
def replaced_by_group(self: Task, numbers: Sequence[float]) -> Any:
    """Hands its id to what collects a group."""
    return self.replace(group(add.s(n, 1) for n in numbers))


# --- that listen ---


@shared_task
def on_error(request: Any, error: Any, trace: Any) -> None:
    """A link_error as the guide writes it: called in the worker that saw the error."""
    write(f"error of {request.id}: {error}")


@shared_task
def on_error_id(failed_id: str) -> None:
    """A link_error of the old style: a task of its own that gets the id."""
    write(f"error of {failed_id}")
