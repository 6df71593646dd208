"""The thread that does every duty in its turn."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import connections

from jobs.clock import dispatcher, pruner, reconciler, rescuer
from jobs.clock.leader import Leader
from jobs.conf import conf
from jobs.errors import DATABASE_DOWN
from jobs.ledger.locks import RowLocked, impatient, is_gone

logger = logging.getLogger(__name__)


@dataclass
class Duty:
    """Something to do every so many seconds, in steps: after each the clock may turn to another duty, or stop."""

    do: Callable[[str], Iterator[object]]
    every: float
    due: float = field(default=0.0)
    under_way: Iterator[object] | None = None


class Clock(threading.Thread):
    """Leads if no other clock does, and does the duties while it leads. No error stops it."""

    def __init__(self, using: str) -> None:
        super().__init__(name="clock", daemon=True)
        self.using = using
        self.leader = Leader(using)
        self.over = threading.Event()
        dispatch, rescue, reconcile = dispatcher.Dispatcher(), rescuer.Rescuer(), reconciler.Reconciler()
        self.trouble = rescue.trouble
        self.duties = [
            Duty(dispatch.dispatch, conf().dispatch_every),
            Duty(dispatch.expire, conf().dispatch_every),
            Duty(reconcile.epoch.keep, conf().dispatch_every),
            Duty(reconcile.reconcile, conf().reconcile_every),
            Duty(rescue.rescue, conf().rescue_every),
            Duty(pruner.prune_results, conf().prune_every),
        ]

    def run(self) -> None:
        while not self.over.is_set():
            self.tick()
            self.over.wait(self.until_next())
        self.leader.resign()

    def tick(self) -> None:
        """Renew the lead, then what is due. A database that is gone ends the tick."""
        try:
            with impatient(self.using):
                self._tick()
        except DATABASE_DOWN as error:
            self.trouble()
            logger.warning("The clock can't reach the database: %s", str(error).strip())
            connections[self.using].close()
        except Exception:
            logger.exception("The clock stumbled, and goes on")

    def _tick(self) -> None:
        if self.leader.lead():
            until = time.monotonic() + conf().turn
            for duty in self.duties:
                self.turn(duty, until)
        else:
            for duty in self.duties:
                duty.under_way = None

    def turn(self, duty: Duty, until: float) -> None:
        """The duty, if it is due; what is not done `until` then goes on in the next tick."""
        now = time.monotonic()
        if duty.under_way is None:
            if duty.due > now:
                return
            duty.due, duty.under_way = now + duty.every, duty.do(self.using)
        try:
            for _ in duty.under_way:
                # A clock that was frozen may have lost the lead in the middle of its work.
                if not self.leader.leads() or self.over.is_set():
                    break
                if time.monotonic() > until:
                    return
            duty.under_way = None
        except RowLocked as error:
            duty.under_way = None
            logger.warning("A duty of the clock has to wait: %s", error)
        except Exception as error:
            duty.under_way = None
            if is_gone(error, self.using):
                raise
            logger.exception("A duty of the clock stumbled; the others go on")

    def until_next(self) -> float:
        """Seconds until something is due."""
        at = self.leader.ask_again
        if self.leader.leads():
            at = min(at, *(0.0 if duty.under_way else duty.due for duty in self.duties))
        return max(0.01, at - time.monotonic())

    def stop(self) -> None:
        """End the duties and give the lead away, in the clock's own thread: the one that calls may be a signal handler
        in the middle of a statement, whose connection takes no other then."""
        self.over.set()
        self.join(timeout=5)
