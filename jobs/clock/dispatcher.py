"""What waits for a time: due jobs are queued and rung, overdue ones expire."""

from collections.abc import Iterator

from jobs import lifecycle
from jobs.conf import conf
from jobs.ledger import control


def dispatch(using: str) -> Iterator[int]:
    """Ring every due job, a batch a step; how many."""
    while moved := lifecycle.dispatch(conf().batch, using=using):
        yield moved
        if moved < conf().batch:
            return


def expire(using: str) -> Iterator[int]:
    """End what is too late to run, at its time; how many. Each end is told to whoever waits for it: smaller steps."""
    while ended := len(control.expire(limit=conf().batch // 10, using=using)):
        yield ended
