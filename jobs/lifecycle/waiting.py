"""What happens to a job that waits: dispatch, expire, cancel."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models.functions import Now

from jobs.lifecycle.ringing import COLUMNS, ring_after_commit
from jobs.models import Job, Queue
from jobs.states import CANCEL, DISPATCH, EXPIRE, WAITING, Hold, State


def dispatch(limit: int, *, using: str) -> int:
    """Move up to `limit` due jobs to queued and ring them; how many."""
    with transaction.atomic(using=using):
        due = Job.objects.using(using).due().order_by("run_at", "created_at").only(*COLUMNS)
        jobs = list(due.select_for_update(skip_locked=True)[:limit])
        held = set(Queue.objects.using(using).filter(paused=True).values_list("name", flat=True))
        rows = Job.objects.using(using).filter(state__in=DISPATCH.sources)
        free = [job for job in jobs if job.queue not in held]
        rows.filter(id__in=[job.id for job in jobs if job.queue in held]).update(
            state=DISPATCH.target, hold=Hold.PAUSED
        )
        rows.filter(id__in=[job.id for job in free]).update(state=DISPATCH.target, hold=Hold.NONE, rung_at=Now())
        ring_after_commit(free, using)
    return len(jobs)


def expire(ids: Sequence[str] | None = None, *, limit: int = 500, using: str) -> list[Job]:
    """End waiting jobs whose time has passed (of `ids`, or any); the jobs that expired."""
    with transaction.atomic(using=using):
        overdue = Job.objects.using(using).overdue().exclude(hold=Hold.REPLACED)
        if ids is not None:
            overdue = overdue.filter(id__in=list(ids))
        jobs = list(overdue.select_for_update(skip_locked=True)[:limit])
        Job.objects.using(using).filter(id__in=[job.id for job in jobs], state__in=EXPIRE.sources).update(
            state=EXPIRE.target, hold=Hold.NONE, finished_at=Now()
        )
    return jobs


def cancel_waiting(ids: Sequence[str], *, using: str) -> list[Job]:
    """Cancel those that wait; the jobs that were cancelled."""
    with transaction.atomic(using=using):
        waiting = Job.objects.using(using).select_for_update().filter(id__in=list(ids), state__in=WAITING)
        jobs = list(waiting.order_by("id"))
        Job.objects.using(using).filter(id__in=[job.id for job in jobs], state__in=WAITING).update(
            state=CANCEL.target, hold=Hold.NONE, finished_at=Now(), cancel_requested=True
        )
    return jobs


def request_cancel(ids: Sequence[str], *, using: str) -> list[str]:
    """Note on running jobs that somebody wants them gone; the ids of those that run."""
    running = Job.objects.using(using).filter(id__in=list(ids), state=State.RUNNING)
    running.update(cancel_requested=True)
    return list(running.values_list("id", flat=True))


def mark_rung(ids: Sequence[str], *, using: str) -> None:
    """These were rung again just now."""
    Job.objects.using(using).filter(id__in=list(ids), state=State.QUEUED).update(rung_at=Now())
