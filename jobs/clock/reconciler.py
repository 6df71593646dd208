"""Queued jobs whose hint is gone from Redis are rung again; a hint too many is dropped at the claim."""

from collections.abc import Iterator
from datetime import timedelta

from celery import current_app
from celery.exceptions import NotRegistered
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from jobs import lifecycle
from jobs.clock import rounds
from jobs.clock.canaries import Canaries
from jobs.clock.epoch import Epoch
from jobs.conf import conf
from jobs.models import Job, Queue, Worker
from jobs.states import Hold, Reason, State


class Reconciler:
    """Knows what Redis remembered last, and which canaries came through when."""

    def __init__(self) -> None:
        self.epoch = Epoch()
        self.canaries = Canaries()

    def reconcile(self, using: str) -> Iterator[object]:
        """Everything that should be rung and may not be."""
        for duty in (lifecycle.free_stale_slots, _end_stale_pauses, _end_unknown):
            yield duty(using)
        # A Redis that has just lost everything is not to be rung twice: as forgetful, and as empty.
        yield from self.epoch.keep(using)
        # Redis could not be reached when they were enqueued.
        yield from rounds.ring(Q(rung_at=None), using)
        yield from self.canaries.find_lost(using)


def _end_stale_pauses(using: str) -> None:
    """A job enqueued while its queue was being resumed may have kept the hold."""
    open_queues = Queue.objects.using(using).filter(paused=False).values_list("name", flat=True)
    stale = Q(queue__in=list(open_queues), hold=Hold.PAUSED)
    if Job.objects.using(using).filter(stale, state=State.QUEUED).exists():
        paused = Queue.objects.using(using).filter(name=OuterRef("queue"), paused=True)
        lifecycle.clear_holds(stale & ~Q(Exists(paused)), using, first=conf().batch)


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
