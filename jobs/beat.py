"""Beat: the Celery scheduler class. It leads or stands by; the leader enqueues due ticks and runs the clock."""

import logging
from typing import Any

from django.db import DatabaseError, InterfaceError, router
from django_celery_beat.schedulers import DatabaseScheduler

from jobs import pulse
from jobs.clock import Clock
from jobs.conf import conf
from jobs.ledger.patience import patiently
from jobs.lifecycle import set_limits
from jobs.models import Job
from jobs.safety import end_if_unsafe
from jobs.schedules import builtin

logger = logging.getLogger(__name__)


class LedgerScheduler(DatabaseScheduler):
    """django-celery-beat's scheduler over its tables; what it sends is enqueued in the ledger."""

    #: Where a schedule stands is saved after every tick, else a restart would send it again.
    sync_every_tasks = 1
    #: A tick is a row: it must not wait for Redis.
    producer = None
    clock: Clock | None = None
    led = False
    closed = False
    ticking = False
    #: Redis was asked whether it can be trusted; with what this process ends when it can't.
    asked = False
    exit_code: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["sync_every_tasks"] = 1
        if not kwargs.get("lazy"):
            self.asked = end_if_unsafe()
        super().__init__(*args, **kwargs)
        self.max_interval: float = conf().dispatch_every
        if not kwargs.get("lazy"):
            self.clock = Clock(router.db_for_write(Job))
            self.clock.start()

    def setup_schedule(self) -> None:
        """Add what is missing; a row that an operator edited is never overwritten."""
        using = router.db_for_write(Job)
        patiently(lambda: set_limits(using), using)
        builtin.install()
        known = set(self.Model.objects.values_list("name", flat=True))
        self.update_from_dict({k: v for k, v in self.app.conf.beat_schedule.items() if k not in known})

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until the next one. Only the leader ticks; one that has just taken the lead reads the rows afresh."""
        if self.closed:
            # Celery's SIGTERM handler closes us wherever we are and raises SystemExit, which a statement that was
            # under way may turn into an error of its own.
            raise SystemExit
        pulse.beat("beat")
        self._ask_once()
        leads = self.clock is not None and self.clock.leader.leads()
        if leads and not self.led:
            self._schedule, self._heap, self._initial_read = None, None, True
        self.led = leads
        if not leads:
            return conf().dispatch_every
        try:
            self.ticking = True
            return float(super().tick(*args, **kwargs))
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Beat can't reach the database: %s", str(error).strip())
        except Exception:
            logger.exception("Beat stumbled, and goes on")
        finally:
            self.ticking = False
        # The stock scheduler may have been stopped while it read its rows: it reads them afresh.
        self.led = False
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

    def _ask_once(self) -> None:
        """Redis was away at the start. Celery ends in order, and with 0, on the SystemExit of a tick."""
        try:
            self.asked = self.asked or end_if_unsafe()
        except SystemExit as end:
            self.exit_code = end.code
            raise
