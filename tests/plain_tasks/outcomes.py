"""Every way in which a body can end; each waits until it is told to, and says in the journal that it did."""

import time
from typing import Any

from celery import Task, shared_task

from tests.plain_tasks import lines, write

GO = "go"


class UntilTold(Task):
    """Says that it began, waits for `go`, says that it ended."""

    abstract = True

    def act(self) -> str:
        write(f"start {self.request.id}")
        while GO not in lines():
            time.sleep(0.02)
        write(f"end {self.request.id}")
        return str(self.request.id)


@shared_task(bind=True, base=UntilTold)
def succeeding(self: UntilTold, *_: Any) -> str:
    return self.act()


@shared_task(bind=True, base=UntilTold, ignore_result=True)
def quiet_succeeding(self: UntilTold) -> str:
    return self.act()


@shared_task(bind=True, base=UntilTold)
def failing(self: UntilTold) -> None:
    self.act()
    raise ValueError("failed on purpose")


@shared_task(bind=True, base=UntilTold, max_retries=1)
def retrying(self: UntilTold, word: str = "first") -> str:
    """Fails once, and says with which arguments and when it wants to run again."""
    self.act()
    if word == "first":
        raise self.retry(args=["second"], exc=ConnectionError("no answer"), countdown=2)
    return word


@shared_task(bind=True, base=UntilTold, max_retries=1, ignore_result=True)
def quiet_retrying(self: UntilTold, word: str = "first") -> None:
    self.act()
    if word == "first":
        raise self.retry(args=["second"], countdown=2)


@shared_task(bind=True)
def collected(self: Task, results: Any) -> Any:
    """A chord's body."""
    write(f"start {self.request.id}")
    write(f"end {self.request.id}")
    return results
