"""Queued jobs whose hint is gone from Redis are rung again; a hint too many is dropped at the claim."""

import logging
from datetime import timedelta

import redis
from celery import current_app
from celery.exceptions import NotRegistered
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.functions import Coalesce, Now

from jobs import broker, lifecycle
from jobs.conf import conf
from jobs.lifecycle.ringing import COLUMNS
from jobs.models import Job, Queue, Worker
from jobs.states import Hold, Reason, State

logger = logging.getLogger(__name__)


def reconcile(using: str) -> None:
    """Everything that should be rung and may not be."""
    lifecycle.free_stale_slots(using)
    _end_stale_pauses(using)
    _end_unknown(using)
    _ring_unrung(using)
    _ring_lost(using)


def _ring_unrung(using: str) -> None:
    """Redis could not be reached when they were enqueued."""
    _ring(Q(rung_at=None), using)


def _ring_lost(using: str) -> None:
    """Rung, untouched for a while, and their queue is empty in Redis."""
    old = Q(rung_at__lt=Now() - timedelta(seconds=conf().reconcile_after))
    queues = set(Job.objects.using(using).startable().filter(old).values_list("queue", flat=True).distinct())
    if not queues or broker.breaker.open():
        return
    try:
        empty = [queue for queue, depth in broker.depths(queues).items() if depth == 0]
    except (redis.RedisError, OSError) as error:
        broker.breaker.trip()
        logger.warning("Redis does not answer the reconciler: %s", error)
        return
    if empty:
        _ring(old & Q(queue__in=empty), using)
    _ring_overtaken(old, queues - set(empty), using)


def _ring_overtaken(old: Q, queues: set[str], using: str) -> None:
    """A queue that is never empty: its lists are first in, first out, so a job is lost when one that was rung well
    after it has begun."""
    lately = Q(state=State.RUNNING) | Q(finished_at__gt=Now() - timedelta(seconds=conf().reconcile_after))
    begun = Job.objects.using(using).filter(lately, queue__in=queues, started_at__isnull=False)
    margin = timedelta(seconds=conf().reconcile_after)
    line = Coalesce("priority", 0)
    for queue, priority, rung_at in begun.values_list("queue", line).annotate(Max("rung_at")):
        if rung_at is not None:
            same = Q(priority=priority) | Q(priority=None) if priority == 0 else Q(priority=priority)
            _ring(old & same & Q(queue=queue, rung_at__lt=rung_at - margin), using)


def _ring(which: Q, using: str) -> None:
    jobs = list(
        Job.objects.using(using).startable().filter(which).order_by("created_at", "id").only(*COLUMNS)[: conf().batch]
    )
    if jobs and not broker.breaker.open() and lifecycle.ring(jobs, using):
        lifecycle.mark_rung([job.id for job in jobs], using=using)
        logger.info("%d jobs were rung again", len(jobs))


def _end_stale_pauses(using: str) -> None:
    """A job enqueued while its queue was being resumed may have kept the hold."""
    paused = Queue.objects.using(using).filter(name=OuterRef("queue"), paused=True)
    if Job.objects.using(using).filter(~Exists(paused), state=State.QUEUED, hold=Hold.PAUSED).exists():
        lifecycle.clear_holds(Q(~Exists(paused), hold=Hold.PAUSED), using, first=conf().batch)


def _end_unknown(using: str) -> None:
    """A worker that knows the task has appeared, or none has for too long."""
    held = Job.objects.using(using).filter(state=State.QUEUED, hold=Hold.UNKNOWN_TASK)
    pairs = set(held.values_list("queue", "task").distinct())
    if not pairs:
        return
    for queue, task in pairs & _known_to_live_workers(using):
        lifecycle.clear_holds(Q(hold=Hold.UNKNOWN_TASK, queue=queue, task=task), using, first=conf().batch)
    patience = timedelta(seconds=conf().unknown_task_patience)
    for job in held.filter(rung_at__lt=Now() - patience)[: conf().batch]:
        with transaction.atomic(using=using):
            current_app.backend.fail_waiting([job.id], Reason.UNKNOWN_TASK, NotRegistered(job.task))


def _known_to_live_workers(using: str) -> set[tuple[str, str]]:
    """(queue, task) of what some live worker would run."""
    alive = Worker.objects.using(using).filter(
        stopped_at=None, heartbeat_at__gt=Now() - timedelta(seconds=conf().silence)
    )
    return {
        (queue, task)
        for queues, tasks in alive.values_list("queues", "tasks")
        for queue in queues.split(",")
        for task in tasks.split("\n")
    }
