"""The control cut: revoke and purge write the table; only a running job's revoke is broadcast to the workers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from celery.app.control import Control
from django.db import router, transaction
from kombu.exceptions import KombuError
from kombu.utils.functional import maybe_list

from jobs import lifecycle
from jobs.conf import conf
from jobs.models import Job
from jobs.queries import JobQuerySet
from jobs.states import LIVE, State

logger = logging.getLogger(__name__)


@dataclass
class Revoked:
    """What a revoke did, by job id."""

    cancelled: list[str] = field(default_factory=list)
    #: Running on, marked `cancel_requested` (Celery's rule without `terminate`).
    requested: list[str] = field(default_factory=list)
    terminating: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def revoke(ids: Sequence[str], *, terminate: bool = False, signal: str | None = None) -> Revoked:
    """Cancel what waits, in the table; ask or (after the commit) terminate what runs."""
    using = router.db_for_write(Job)
    with transaction.atomic(using=using):
        # Locked, in one order: none moves on between the statements below, and two revokes can't block each other.
        locked = Job.objects.using(using).select_for_update().filter(id__in=list(ids)).order_by("id")
        before = dict(locked.values_list("id", "state"))
        waiting = lifecycle.cancel_waiting(ids, using=using)
        current_app.backend.end_waiting(waiting, "revoked")
        running = lifecycle.request_cancel(ids, using=using)
        if running and terminate:
            transaction.on_commit(lambda: _broadcast(running, terminate=True, signal=signal), using=using, robust=True)
    return Revoked(
        cancelled=[job.id for job in waiting],
        requested=[] if terminate else running,
        terminating=running if terminate else [],
        ended=[i for i in ids if i in before and before[i] not in LIVE],
        unknown=[i for i in ids if i not in before],
    )


def purge(jobs: JobQuerySet) -> int:
    """Cancel those of the jobs that are queued, some at a time; how many."""
    ids = list(jobs.filter(state=State.QUEUED).values_list("id", flat=True))
    size = conf().batch
    return sum(len(revoke(ids[start : start + size]).cancelled) for start in range(0, len(ids), size))


def expire(ids: Sequence[str] | None = None, *, limit: int = 500, using: str) -> list[Job]:
    """End waiting jobs whose time has passed (of `ids`, or any), and what waits for them; the jobs that expired."""
    with transaction.atomic(using=using):
        jobs = lifecycle.expire(ids, limit=limit, using=using)
        current_app.backend.end_waiting(jobs, "expired")
    return jobs


def _broadcast(ids: list[str], *, terminate: bool, signal: str | None, **kwargs: Any) -> Any:
    """Celery's own revoke. Redis down: the request stands in the table, and the lease ends the job."""
    try:
        if signal is not None:
            kwargs["signal"] = signal
        return Control(current_app._get_current_object()).revoke(ids, terminate=terminate, **kwargs)
    except (KombuError, OSError) as error:
        logger.warning("The workers can't be told to stop %s: %s", ", ".join(ids), error)
        return None


class LedgerControl(Control):
    """`app.control`, `AsyncResult.revoke()`, Flower's buttons."""

    def revoke(
        self, task_id: Any, destination: Any = None, terminate: bool = False, signal: str = "SIGTERM", **kwargs: Any
    ) -> Any:
        ids = [str(i) for i in maybe_list(task_id) or []]
        done = revoke(ids, terminate=terminate, signal=signal)
        if done.unknown:
            # Ids that have no job (a canvas step that was never posted): stock Celery's way.
            return super().revoke(done.unknown, destination=destination, terminate=terminate, signal=signal, **kwargs)
        return [] if kwargs.get("reply") else None

    def purge(self, connection: Any = None) -> int:
        """Cancel every queued job, then drop the hints; how many jobs. (`celery purge` drops hints only.)"""
        cancelled = purge(Job.objects.using(router.db_for_write(Job)).all())
        super().purge(connection)
        return cancelled

    discard_all = purge
