"""Rounds: ring jobs again that wait for a worker, oldest first, a batch at a time."""

import logging
from collections.abc import Iterator

from django.db.models import Q

from jobs import broker, lifecycle
from jobs.conf import conf
from jobs.lifecycle.ringing import COLUMNS
from jobs.models import Job

logger = logging.getLogger(__name__)


def ring(which: Q, using: str) -> Iterator[int]:
    """Ring those startable jobs again until none is left that was not, or Redis does not answer; how many a round."""
    waiting, past = Job.objects.using(using).startable().filter(which), Q()
    while not broker.breaker.open():
        jobs = list(waiting.filter(past).order_by("created_at", "id").only(*COLUMNS, "created_at")[: conf().batch])
        rung = lifecycle.ring(jobs, using) if jobs else 0
        if rung == 0:
            return
        lifecycle.mark_rung([job.id for job in jobs[:rung]], using=using)
        logger.info("%d jobs were rung again", rung)
        yield rung
        if rung < conf().batch:
            return
        last = jobs[-1]
        # The first condition is what an index begins at; without it every round would pass all those before.
        past = Q(created_at__gte=last.created_at) & (Q(created_at__gt=last.created_at) | Q(id__gt=last.id))
