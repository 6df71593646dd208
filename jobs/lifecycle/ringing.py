"""Ring: once per transaction, after it, in one pipeline."""

import itertools
import logging
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, transaction

from jobs import broker
from jobs.models import Job
from jobs.states import State

logger = logging.getLogger(__name__)

#: What the ring needs of a row.
COLUMNS = ("id", "queue", "priority", "envelope", "body")


def ring(jobs: Iterable[Job], using: str) -> int:
    """Publish the hints of these jobs now; how many from the first on. The others are marked, for the reconciler."""
    jobs = list(jobs)
    done = broker.ring([broker.Hint(job.queue, job.priority, job.envelope, job.body) for job in jobs])
    if unrung := [job.id for job in jobs[done:]]:
        try:
            Job.objects.using(using).filter(id__in=unrung, state=State.QUEUED).update(rung_at=None)
        except (DatabaseError, InterfaceError):
            logger.warning("%d unrung jobs could not be marked; the reconciler finds them by their age", len(unrung))
    return done


class Bell:
    """The hints of one savepoint's worth of enqueues.

    Django drops the callbacks of a savepoint that rolls back, and with the callback goes its bell (nothing else holds
    it), so that at commit the bells still alive are exactly those to ring: together, by the first one called.
    """

    cast = itertools.count()

    def __init__(self, bells: "weakref.WeakSet[Bell]", using: str) -> None:
        self.bells, self.using, self.order = bells, using, next(self.cast)
        self.jobs: list[Job] = []
        bells.add(self)

    def ring_all(self) -> None:
        jobs = [job for bell in sorted(self.bells, key=lambda bell: bell.order) for job in bell.taken()]
        if jobs:
            ring(jobs, self.using)

    def taken(self) -> list[Job]:
        jobs, self.jobs = self.jobs, []
        return jobs


def ring_after_commit(jobs: Sequence[Job], using: str) -> None:
    """Ring when the transaction that is open has committed (now, if there is none)."""
    if not jobs:
        return
    connection: Any = connections[using]
    if not hasattr(connection, "_bells"):
        connection._bells = weakref.WeakSet()
    bell = Bell(connection._bells, using)
    bell.jobs.extend(jobs)
    transaction.on_commit(bell.ring_all, using=using, robust=True)
