"""What waits for a time: due jobs are queued and rung, overdue ones expire."""

from jobs import lifecycle
from jobs.conf import conf
from jobs.ledger import control


def dispatch(using: str) -> int:
    """Ring every due job; how many."""
    moved = 0
    while batch := lifecycle.dispatch(conf().batch, using=using):
        moved += batch
        if batch < conf().batch:
            break
    return moved


def expire(using: str) -> int:
    """End what is too late to run, at its time; how many."""
    return len(control.expire(limit=conf().batch, using=using))
