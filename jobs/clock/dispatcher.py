"""What waits for a time: due jobs are queued and rung, overdue ones expire."""

import time
from collections.abc import Iterator

from django.db import connections

from jobs import lifecycle
from jobs.conf import conf
from jobs.ledger import control
from jobs.lifecycle.moment import moment
from jobs.states import DISPATCH, EXPIRE, State


class Dispatcher:
    """Asks with one statement whether anything is due or overdue, before a transaction looks for it."""

    def __init__(self) -> None:
        self.looked = -conf().dispatch_every
        self.due = self.overdue = False

    def dispatch(self, using: str) -> Iterator[int]:
        """Ring every due job, a batch a step; how many."""
        self._look(using)
        if self.due:
            yield from dispatch(using)

    def expire(self, using: str) -> Iterator[int]:
        """End what is too late to run, a part a step; how many."""
        self._look(using)
        if self.overdue:
            yield from expire(using)

    def _look(self, using: str) -> None:
        """Both duties come in one turn of the clock: the second one takes the answer that the first one got."""
        if time.monotonic() - self.looked < conf().dispatch_every / 2:
            return
        self.looked = time.monotonic()
        now, at = moment(using)
        with connections[using].cursor() as cursor:
            cursor.execute(
                f"SELECT {_any(DISPATCH.sources, 'run_at', now)}, {_any(EXPIRE.sources, 'expires_at', now)}", [*at, *at]
            )
            self.due, self.overdue = (bool(found) for found in cursor.fetchone())


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


def _any(states: tuple[State, ...], column: str, now: str) -> str:
    """SQL of whether a job in one of the states has reached the time in the column. Each has a partial index."""
    listed = ", ".join(f"'{state}'" for state in states)
    return f"EXISTS (SELECT 1 FROM jobs_job WHERE state IN ({listed}) AND {column} IS NOT NULL AND {column} <= {now})"
