"""Running jobs whose worker fell silent, or whose lease ended: the attempt ends as crashed."""

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from celery import current_app
from celery.exceptions import WorkerLostError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from jobs.conf import conf
from jobs.errors import DATABASE_DOWN
from jobs.ledger import current, settle
from jobs.ledger.errbacks import aside
from jobs.ledger.locks import RowLocked
from jobs.lifecycle.moment import now
from jobs.models import Job, Worker
from jobs.states import State

logger = logging.getLogger(__name__)


class Rescuer:
    """Holds off after trouble with the database: then every worker looks silent until it could write again.

    Trouble is an error, or time that went by unseen: a database (or machine) that stood still, a lead just taken.
    """

    def __init__(self) -> None:
        self.calm_from = 0.0
        self.looked: datetime | None = None

    def trouble(self) -> None:
        """The database could not be reached just now."""
        self.calm_from = time.monotonic() + 2 * conf().heartbeat

    def rescue(self, using: str) -> Iterator[str]:
        """End the attempts of orphans, one a step; their ids."""
        if not self._watched(using) or time.monotonic() < self.calm_from:
            return
        for job in list(_orphans(using)[: conf().batch]):
            if not self._watched(using):  # it stood still in this very look, or since
                return
            try:
                _end_attempt(job, using)
            except DATABASE_DOWN:
                raise
            except RowLocked as error:
                logger.warning("Job %s can't be rescued yet, the others are: %s", job.id, error)
            except Exception:
                logger.exception("Job %s can't be rescued; the others are", job.id)
            yield job.id

    def _watched(self, using: str) -> bool:
        """Whether the database's clock moved no further since the last look than it should have."""
        at, before = now(using), self.looked
        self.looked = at
        if before and (at - before).total_seconds() <= conf().rescue_every + conf().heartbeat:
            return True
        self.trouble()
        return False


def _orphans(using: str) -> QuerySet[Job]:
    alive = Worker.objects.using(using).filter(
        id=OuterRef("worker_id"), stopped_at=None, heartbeat_at__gt=Now() - timedelta(seconds=conf().silence)
    )
    # A job that began since then may have a worker that has not yet been able to write its row.
    long_enough = Q(started_at__lt=Now() - timedelta(seconds=conf().silence))
    running = Job.objects.using(using).filter(state=State.RUNNING)
    orphans = running.filter(Q(lease_until__lt=Now()) | (~Exists(alive) & ~Q(worker_id="") & long_enough))
    return orphans.order_by("started_at")  # see lifecycle.crash: those that began later still count as running


def _end_attempt(job: Job, using: str) -> None:
    """At once or not at all: an attempt that can't be ended now is looked at again, not waited for or spooled."""
    held = settle.claim_of(job, using)
    held.inside, held.patient = True, False
    lost = WorkerLostError(f"The worker {job.worker} fell silent, or outlived the job's lease.")
    logger.warning("Job %s is rescued: %s", job.id, lost)
    with current.active(held):
        if settle.crashed(held, lost, settle.context_of(job), current_app.backend) and held.inside:
            aside(held.afterwards)
