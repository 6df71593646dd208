"""What a queue does to its jobs: pause, limits, holds."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from jobs.conf import conf
from jobs.lifecycle.ringing import COLUMNS, ring_after_commit
from jobs.models import Job, Queue, QueueSlot
from jobs.queues import declared
from jobs.states import Hold, State


def paused(queue: str, using: str) -> bool:
    return Queue.objects.using(using).filter(name=queue, paused=True).exists()


def pause(queue: str, *, by: str, reason: str = "", using: str) -> bool:
    """Queued jobs of the queue stay queued, held; running ones run on. Kept over restarts. False: it was paused."""
    with transaction.atomic(using=using):
        set_limits(using)
        paused = (
            Queue.objects.using(using)
            .filter(name=queue, paused=False)
            .update(paused=True, paused_at=Now(), paused_by=by, pause_reason=reason)
        )
        Job.objects.using(using).filter(queue=queue, state=State.QUEUED, hold=Hold.NONE).update(hold=Hold.PAUSED)
    return bool(paused)


def resume(queue: str, *, using: str) -> int | None:
    """End the hold and ring; how many jobs were held. None: it was not paused."""
    with transaction.atomic(using=using):
        resumed = (
            Queue.objects.using(using)
            .filter(name=queue, paused=True)
            .update(paused=False, paused_at=None, paused_by="", pause_reason="")
        )
        held = clear_holds(Q(queue=queue, hold=Hold.PAUSED), using)
    return held if resumed else None


def set_limits(using: str) -> None:
    """Make a row for every declared queue; a row that is there is an operator's and stays."""
    known = set(Queue.objects.using(using).values_list("name", flat=True))
    missing = [spec for name, spec in declared().items() if name not in known]
    Queue.objects.using(using).bulk_create(
        [Queue(name=spec.name, limit=spec.limit, in_order=spec.in_order) for spec in missing], ignore_conflicts=True
    )


def clear_holds(which: Q, using: str, first: int | None = None) -> int:
    """End the hold of queued jobs (the `first` n in order of acceptance, or all) and ring them."""
    with transaction.atomic(using=using):
        held = Job.objects.using(using).filter(which, state=State.QUEUED).order_by("created_at", "id")
        ids = list(held.values_list("id", flat=True)[:first])
        for start in range(0, len(ids), conf().batch):
            some = Job.objects.using(using).filter(id__in=ids[start : start + conf().batch], state=State.QUEUED)
            jobs = list(some.order_by("created_at", "id").only(*COLUMNS))
            some.update(hold=Hold.NONE, rung_at=Now())
            ring_after_commit(jobs, using)
    return len(ids)


def hold(job_id: str, why: Hold, using: str) -> None:
    """A worker found that this job may not start: its hint is gone, the hold says why."""
    Job.objects.using(using).filter(id=job_id, state=State.QUEUED).exclude(hold=Hold.REPLACED).update(hold=why)


def hold_unknown(job_id: str, using: str) -> None:
    """A worker got this job and has no such task."""
    hold(job_id, Hold.UNKNOWN_TASK, using)


# --- Limits: a slot is taken under the lock of the queue's row, and given back in the settle ------


def take_slot(job_id: str, queue: str, using: str) -> bool:
    """Take one of the queue's slots, inside the claim's transaction; False: none free, or it is not this job's turn."""
    row = Queue.objects.using(using).select_for_update().filter(name=queue).first()
    if row is not None and row.paused:
        return False
    if row is None or row.limit is None:
        return True
    slots = QueueSlot.objects.using(using).filter(queue_id=queue)
    if slots.filter(job_id=job_id).exists():
        return True
    if slots.count() >= row.limit or (row.in_order and first_in_line(queue, using) != job_id):
        return False
    slots.create(queue_id=queue, job_id=job_id)
    return True


def first_in_line(queue: str, using: str) -> str | None:
    """The job that was accepted first among those that wait for nothing but a slot."""
    line = Job.objects.using(using).filter(queue=queue, state=State.QUEUED, hold__in=(Hold.NONE, Hold.LIMIT))
    return line.order_by("created_at", "id").values_list("id", flat=True).first()


def give_slots_back(job_ids: Iterable[str], using: str) -> None:
    """Free the slots of jobs that run no more, and ring who waits for them (a worker: in the settle's transaction)."""
    with transaction.atomic(using=using):
        slots = QueueSlot.objects.using(using).filter(job_id__in=list(job_ids))
        for queue in set(slots.values_list("queue_id", flat=True)):
            # The lock orders this after a claim that is just finding the queue full.
            list(Queue.objects.using(using).select_for_update().filter(name=queue))
            freed, _ = slots.filter(queue_id=queue).delete()
            clear_holds(Q(queue=queue, hold=Hold.LIMIT), using, first=freed)


def free_stale_slots(using: str) -> int:
    """Slots of jobs that are not running, and holds of queues that have room: what a crash between can leave."""
    stale = QueueSlot.objects.using(using).exclude(
        job_id__in=Job.objects.using(using).filter(state=State.RUNNING).values("id")
    )
    give_slots_back(list(stale.values_list("job_id", flat=True)), using)
    rung = 0
    for queue in Queue.objects.using(using).filter(paused=False):
        room = None if queue.limit is None else max(0, queue.limit - queue.slots.count())
        if room != 0:
            rung += clear_holds(Q(queue=queue.name, hold=Hold.LIMIT), using, first=room)
    return rung
