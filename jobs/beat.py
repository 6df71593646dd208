"""Beat: the Celery scheduler class. It leads or stands by; the leader keeps the schedules' ticks and runs the clock."""

import gc
import logging
from typing import Any

from celery.beat import Scheduler
from django.db import DatabaseError, InterfaceError, connections, router

from jobs import pulse
from jobs.clock import Clock
from jobs.conf import conf
from jobs.ledger.patience import patiently
from jobs.lifecycle import set_limits
from jobs.models import Job
from jobs.safety import end_if_unsafe
from jobs.schedules import sync
from jobs.ticking.ticker import Ticker

logger = logging.getLogger(__name__)


class LedgerScheduler(Scheduler):
    """Schedules are django-celery-beat's rows; their ticks become jobs in the ledger (`jobs.ticking`)."""

    #: A tick is a row: nothing is sent from here.
    producer = None
    clock: Clock | None = None
    #: What this beat knows while it leads; None: it stands by, or must read everything afresh.
    ticker: Ticker | None = None
    #: All is loaded, and every schedule was read.
    settled = False
    closed = False
    ticking = False
    #: Redis was asked whether it can be trusted; with what this process ends when it can't.
    asked = False
    exit_code: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.using = router.db_for_write(Job)
        if not kwargs.get("lazy"):
            self.asked = end_if_unsafe()
        super().__init__(*args, **kwargs)
        self.max_interval: float = conf().dispatch_every
        if not kwargs.get("lazy"):
            self.clock = Clock(self.using)
            self.clock.start()

    def setup_schedule(self) -> None:
        """Add what is missing; a row that an operator edited is never overwritten."""
        patiently(lambda: set_limits(self.using), self.using)
        sync.add_missing(self.app)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until the next one. Only the leader ticks; one that has just taken the lead reads all afresh."""
        if self.closed:
            # Celery's SIGTERM handler closes us wherever we are and raises SystemExit, which a statement that was
            # under way may turn into an error of its own.
            raise SystemExit
        pulse.beat("beat")
        self._ask_once()
        if self.clock is None or not self.clock.leader.leads():
            self.ticker = None
            return conf().dispatch_every
        try:
            self.ticking = True
            self.ticker = self.ticker or Ticker(self.using)
            seconds = self.ticker.tick()
            if seconds and not self.settled:
                self._settle_down()
            return min(seconds, self.max_interval)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Beat can't reach the database: %s", str(error).strip())
            connections[self.using].close()
        except Exception:
            logger.exception("Beat stumbled, and goes on")
        finally:
            self.ticking = False
        self.ticker = None
        return conf().dispatch_every

    def close(self) -> None:
        """Called by Celery's signal handler, perhaps in the middle of a tick, and again when the tick has ended."""
        self.closed = True
        if self.clock:
            self.clock.stop()
        if not self.ticking:
            super().close()
        if self.exit_code:
            raise SystemExit(self.exit_code)

    def _settle_down(self) -> None:
        """What is loaded by now stays: a full garbage collection takes 0.1 s, which a tick would be late by."""
        gc.collect()
        gc.freeze()
        self.settled = True

    def _ask_once(self) -> None:
        """Redis was away at the start. Celery ends in order, and with 0, on the SystemExit of a tick."""
        try:
            self.asked = self.asked or end_if_unsafe()
        except SystemExit as end:
            self.exit_code = end.code
            raise
