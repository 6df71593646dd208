"""The thread that does every duty in its turn."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, connections

from jobs.clock import dispatcher, pruner, reconciler, rescuer
from jobs.clock.leader import Leader
from jobs.conf import conf

logger = logging.getLogger(__name__)


@dataclass
class Duty:
    """Something to do every so many seconds."""

    do: Callable[[str], object]
    every: float
    due: float = field(default=0.0)


class Clock(threading.Thread):
    """Leads if no other clock does, and does the duties while it leads. No error stops it."""

    def __init__(self, using: str) -> None:
        super().__init__(name="clock", daemon=True)
        self.using = using
        self.leader = Leader(using)
        self.over = threading.Event()
        rescue = rescuer.Rescuer()
        self.trouble = rescue.trouble
        self.duties = [
            Duty(dispatcher.dispatch, conf().dispatch_every),
            Duty(dispatcher.expire, conf().dispatch_every),
            Duty(reconciler.reconcile, conf().reconcile_every),
            Duty(rescue.rescue, conf().rescue_every),
            Duty(pruner.prune_results, conf().prune_every),
        ]

    def run(self) -> None:
        while not self.over.is_set():
            self.tick()
            self.over.wait(self.until_next())
        connections[self.using].close()

    def tick(self) -> None:
        """Renew the lead, then what is due."""
        try:
            if self.leader.lead():
                for duty in self.duties:
                    self.turn(duty)
        except (DatabaseError, InterfaceError) as error:
            self.trouble()
            logger.warning("The clock can't reach the database: %s", str(error).strip())
            connections[self.using].close()
        except Exception:
            self.trouble()
            logger.exception("The clock stumbled, and goes on")

    def turn(self, duty: Duty) -> None:
        if duty.due <= time.monotonic():
            duty.due = time.monotonic() + duty.every
            duty.do(self.using)

    def until_next(self) -> float:
        return max(0.01, min(duty.due for duty in self.duties) - time.monotonic())

    def stop(self) -> None:
        """End the duties and give the lead away."""
        self.over.set()
        self.join(timeout=5)
        self.leader.resign()
