"""The ticker: what beat does while it leads, a step at a time. What is due comes first, at its moment."""

import logging
import time
from collections.abc import Sequence
from itertools import islice

from django.db import DatabaseError

from jobs.conf import conf
from jobs.ledger.locks import RowLocked, impatient, is_gone
from jobs.schedules import triggers
from jobs.ticking import firing
from jobs.ticking.agenda import Agenda
from jobs.ticking.ahead import Ahead
from jobs.ticking.rereading import Rereading

logger = logging.getLogger(__name__)


class Ticker:
    """Of one beat. Whoever takes the lead begins with a new one: it knows nothing from before."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.agenda = Agenda(using)
        self.rereading = Rereading(using)
        self.ahead = Ahead(using)
        #: Schedules that no trigger told of.
        self.found: dict[int, None] = {}
        self.look_at = 0.0
        self.checked = False

    def tick(self) -> float:
        """Do the next thing; seconds until there is one more. Raises DatabaseError when the database is gone."""
        if time.monotonic() >= self.look_at:
            self._look()
        if ids := self._next():
            self._settle(ids)
            return 0.0
        if self.agenda.more:
            self.look_at = 0.0
            return 0.0
        if self.ahead.step(self.agenda.wakes):
            return 0.0
        if self.rereading.is_due:
            self.found.update(dict.fromkeys(self.rereading.step()))
            return 0.0
        return max(0.0, min(self.agenda.until_next(), self.look_at - time.monotonic()))

    def _look(self) -> None:
        self._check_triggers()
        self.look_at = time.monotonic() + conf().look_every
        self.agenda.look()

    def _next(self) -> list[int]:
        """Ticks whose time has come, then those that may run at last, then edits, then what only a rereading found,
        and last what was locked."""
        size = conf().ticks_together
        for waiting in (self.agenda.due(), self.agenda.free, self.agenda.edited, self.found):
            if some := list(islice(waiting, size)):
                return some
        return self.agenda.set_free()

    def _settle(self, ids: Sequence[int]) -> None:
        for schedule in ids:
            self.found.pop(schedule, None)
        settled = firing.settle(ids, self.using, self.ahead.prepared)
        self.ahead.forget(ids)
        self.agenda.done(ids, settled.wakes)
        self.agenda.put_off(settled.locked, conf().lock_patience)
        self.agenda.set_aside(settled.stuck, conf().look_ahead)

    def _check_triggers(self) -> None:
        """Once in a lead. Without them edits are only found by rereading: no reason not to tick."""
        if self.checked:
            return
        self.checked = True
        try:
            with impatient(self.using):
                made = triggers.install(self.using)
        except (RowLocked, DatabaseError) as error:
            if is_gone(error, self.using):
                raise
            logger.error("Triggers that tell of edited schedules are missing and can't be made: %s", str(error).strip())
        else:
            if made:
                logger.warning("Triggers that tell of edited schedules were missing; made: %s", ", ".join(made))
