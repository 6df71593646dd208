"""Requeue: what ended runs again, under its own id or as a changed successor."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Greatest, Now

from jobs.lifecycle import chords
from jobs.lifecycle.queueing import paused
from jobs.lifecycle.ringing import ring_after_commit
from jobs.messages import readable
from jobs.models import Job
from jobs.signals import job_requeued
from jobs.states import ENDED, REQUEUE, REQUEUEABLE, Hold, State

#: What a new message for a known id replaces.
MESSAGE = (
    "queue priority retries max_attempts body envelope ignore_result run_at expires_at canvas_id parent_id group_id "
    "task unique_key"
).split()


def requeue(ids: Sequence[str], *, by: str, reason: str = "", using: str) -> list[str]:
    """Give dead, cancelled and expired jobs one more attempt; the ids that were in such a state.

    Left out: a job whose unique key a live job has by now, one that a changed job replaced, one that can't be read.
    """
    with transaction.atomic(using=using):
        found = Job.objects.using(using).select_for_update().filter(id__in=list(ids), state__in=REQUEUEABLE)
        free = found.exclude(hold=Hold.REPLACED).exclude(Exists(_successors(OuterRef("id"), using)))
        jobs = _without_twin([job for job in free.order_by("created_at", "id") if readable(job.body)], using)
        for queue in {job.queue for job in jobs}:
            _queue_again([job for job in jobs if job.queue == queue], queue, using)
        chords.count_up(jobs, using)
        moved = [job.id for job in jobs]
        if moved:
            job_requeued.send(sender=Job, job_ids=moved, replaced_by={}, by=by, reason=reason, using=using)
    return moved


def _without_twin(jobs: list[Job], using: str) -> list[Job]:
    """Those whose unique key is free; of several with one key the first."""
    keys = {job.unique_key for job in jobs if job.unique_key is not None}
    live = Job.objects.using(using).live().filter(unique_key__in=keys)
    taken = set(live.values_list("task", "unique_key")) if keys else set()
    free = []
    for job in jobs:
        key = (job.task, job.unique_key)
        if key not in taken:
            free.append(job)
        if job.unique_key is not None:
            taken.add(key)
    return free


def _queue_again(jobs: list[Job], queue: str, using: str) -> None:
    hold = Hold.PAUSED if paused(queue, using) else Hold.NONE
    Job.objects.using(using).filter(id__in=[job.id for job in jobs], state__in=REQUEUEABLE).update(
        **_fresh(),
        hold=hold,
        expires_at=None,
        run_at=None,
        max_attempts=Greatest(F("max_attempts"), F("attempt") + 1),
        rung_at=Now(),
    )
    if not hold:
        ring_after_commit(jobs, using)


def has_successor(job_id: str, using: str) -> bool:
    """Whether a changed job already runs, or has succeeded, in the place of this one."""
    return _successors(job_id, using).exists()


def _successors(job_id: Any, using: str) -> Any:
    return Job.objects.using(using).filter(requeued_from_id=job_id).exclude(state__in=REQUEUEABLE)


def succeed_by(old: Job, new_id: str, *, by: str, reason: str = "", using: str) -> None:
    """Tell that `new_id`, with changed arguments, runs in the place of `old` (in the caller's transaction)."""
    chords.count_up([old], using)
    chords.put_in_place(old.id, new_id, old.group_id, using)
    job_requeued.send(sender=Job, job_ids=[old.id], replaced_by={old.id: new_id}, by=by, reason=reason, using=using)


def repost(job: Job, *, by_worker: bool, using: str) -> bool:
    """A known id was posted again with this message; whether it runs (again)."""
    rows = Job.objects.using(using).filter(id=job.id)
    # A worker's may be the step that carries an id which Task.replace gave on.
    given_on = Q(hold=Hold.REPLACED)
    rows = rows.filter(given_on if by_worker else ~given_on & Q(state__in=ENDED))
    hold = Hold.PAUSED if paused(job.queue, using) else Hold.NONE
    message: dict[str, Any] = {name: getattr(job, name) for name in MESSAGE}
    if not rows.update(**_fresh(), **message, hold=hold, attempt=0, crashes=0, rung_at=Now()):
        return False
    if not by_worker:
        job_requeued.send(sender=Job, job_ids=[job.id], replaced_by={}, by="", reason="Posted again", using=using)
    if job.run_at is not None:
        # Due at once or later: the dispatcher decides by the database's clock.
        Job.objects.using(using).filter(id=job.id, state=State.QUEUED).update(state=State.SCHEDULED, rung_at=None)
    elif not hold:
        ring_after_commit([job], using)
    return True


def give_on(ids: Sequence[str], *, using: str) -> None:
    """The ids of ended jobs belong to steps that are about to be posted: their chord was begun again."""
    Job.objects.using(using).filter(id__in=list(ids), state__in=ENDED).update(hold=Hold.REPLACED)


def _fresh() -> dict[str, Any]:
    """What every job that runs again starts with."""
    return {
        "state": REQUEUE.target,
        "finished_at": None,
        "cancel_requested": False,
        "progress": None,
        "error": Value(""),
        "message": Value(""),
    }
