"""Settle: close the running attempt with another end than success; only the token's holder can."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from jobs.backoff import crash_delay
from jobs.conf import conf
from jobs.lifecycle.queueing import give_slots_back
from jobs.lifecycle.ringing import ring_after_commit
from jobs.messages import storable
from jobs.models import Attempt, Job
from jobs.signals import job_died
from jobs.states import CANCEL, DIE, RELEASE, REPLACE, RETRY, Hold, Outcome, Reason, State


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended badly."""

    error: str
    message: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Death:
    """A job that died for good: what the dead letter records."""

    job: Job
    reason: Reason
    error: str
    message: str
    traceback: str


#: So many others at most does a job let go first that died with it.
MOST_AHEAD = 3
LETS_GO: dict[str, Any] = {"token": None, "worker_id": None, "lease_until": None}


def retry(job_id: str, token: str, again: Job, failure: Failure, *, using: str) -> bool:
    """running → retrying with the message `again` (its run_at; none: queued and rung at once).

    As on stock Celery, a job that was revoked while it ran does not run again: cancelled.
    """
    with transaction.atomic(using=using):
        job = _take_back(job_id, token, using)
        if job is None:
            return False
        if job.cancel_requested:
            return cancel_running(job_id, token, failure, using=using)
        at_once = again.run_at is None
        _write(
            job,
            using,
            **LETS_GO,
            state=State.QUEUED if at_once else RETRY.target,
            rung_at=Now() if at_once else None,
            run_at=again.run_at,
            expires_at=again.expires_at,
            retries=again.retries,
            queue=again.queue,
            priority=again.priority,
            body=again.body,
            envelope=again.envelope,
            **_said(failure),
        )
        _remember(job, Outcome.RETRIED, failure, using)
        give_slots_back([job_id], using)
        if at_once:
            ring_after_commit([again], using)
    return True


def die(
    job_id: str, token: str, reason: Reason, failure: Failure, *, outcome: Outcome = Outcome.FAILED, using: str
) -> bool:
    """running → dead; files the dead letter in the same transaction."""
    with transaction.atomic(using=using):
        job = _take_back(job_id, token, using)
        if job is None:
            return False
        _write(job, using, **LETS_GO, state=DIE.target, finished_at=Now(), **_said(failure))
        _remember(job, outcome, failure, using)
        give_slots_back([job_id], using)
        _announce([_death(job, reason, failure)], using)
    return True


def die_waiting(ids: Sequence[str], reason: Reason, failure: Failure, *, using: str) -> list[Job]:
    """queued → dead: nobody will ever run these; the jobs that died."""
    with transaction.atomic(using=using):
        waiting = Job.objects.using(using).select_for_update().filter(id__in=list(ids), state=State.QUEUED)
        jobs = list(waiting.order_by("id"))
        Job.objects.using(using).filter(id__in=[job.id for job in jobs], state=State.QUEUED).update(
            state=DIE.target, hold=Hold.NONE, finished_at=Now(), **_said(failure)
        )
        _announce([_death(job, reason, failure) for job in jobs], using)
    return jobs


def crash(job_id: str, token: str, failure: Failure, *, using: str) -> State | None:
    """Its worker is gone: running → retrying after a backoff.

    The answer is RETRYING; CANCELLED when somebody wanted it gone; DEAD when this was once too often, and then the
    job is still running and the caller must let it die; None for a late writer.
    """
    with transaction.atomic(using=using):
        job = _take_back(job_id, token, using)
        if job is None:
            return None
        crashes = job.crashes + 1
        _write(job, using, crashes=crashes)
        if job.cancel_requested:
            cancel_running(job_id, token, failure, using=using)
            return State.CANCELLED
        if crashes >= conf().max_crashes:
            return State.DEAD
        _write(
            job,
            using,
            **LETS_GO,
            state=RETRY.target,
            max_attempts=F("max_attempts") + 1,
            run_at=_in(_crash_delay(job, crashes, using)),
            **_said(failure),
        )
        _remember(job, Outcome.CRASHED, failure, using)
        give_slots_back([job_id], using)
    return State.RETRYING


def release(job_id: str, token: str, *, ring: bool = False, using: str) -> bool:
    """running → queued, the attempt given back: nothing went wrong with the job. Cancelled, if it was revoked."""
    with transaction.atomic(using=using):
        job = _take_back(job_id, token, using)
        if job is None:
            return False
        if job.cancel_requested:
            return cancel_running(job_id, token, Failure("TaskRevokedError", "revoked"), using=using)
        _write(
            job,
            using,
            **LETS_GO,
            state=RELEASE.target,
            attempt=Greatest(F("attempt") - 1, 0),
            started_at=None,
            rung_at=Now(),  # here, or by the worker's parent, which puts the same message back
        )
        give_slots_back([job_id], using)
        if ring:
            ring_after_commit([job], using)
    return True


def cancel_running(job_id: str, token: str, failure: Failure, *, using: str) -> bool:
    """running → cancelled: it was terminated."""
    with transaction.atomic(using=using):
        job = _take_back(job_id, token, using)
        if job is None:
            return False
        _write(job, using, **LETS_GO, state=CANCEL.target, finished_at=Now(), cancel_requested=True)
        _remember(job, Outcome.CANCELLED, failure, using)
        give_slots_back([job_id], using)
    return True


def replace(job_id: str, token: str, *, using: str) -> bool:
    """running → queued with hold `replaced`: the id now belongs to a later step, whose enqueue ends the hold."""
    with transaction.atomic(using=using):
        job = _take_back(job_id, token, using)
        if job is None:
            return False
        _write(job, using, **LETS_GO, state=REPLACE.target, hold=Hold.REPLACED, started_at=None)
        give_slots_back([job_id], using)
    return True


def fail_replaced(job_id: str, ended: State, failure: Failure, *, using: str) -> bool:
    """A step before the one that carries this id ended badly: so does this, still held for that step, no letter."""
    held = Job.objects.using(using).filter(id=job_id, state=State.QUEUED, hold=Hold.REPLACED)
    return bool(held.update(state=ended, finished_at=Now(), **_said(failure)))


def report_progress(job_id: str, token: str, progress: str, *, using: str) -> None:
    """What the body says of how far it is; nothing for a late writer."""
    Job.objects.using(using).filter(id=job_id, state=State.RUNNING, token=token).update(progress=progress)


def count_duplicate(job_id: str, token: str, *, using: str) -> None:
    """An effect that the body asked for again was not done twice; nothing for a late writer."""
    running = Job.objects.using(using).filter(id=job_id, state=State.RUNNING, token=token)
    running.update(duplicates_prevented=F("duplicates_prevented") + 1)


def _take_back(job_id: str, token: str, using: str) -> Job | None:
    """The row, locked, if this token still holds it."""
    rows = Job.objects.using(using).select_for_update().filter(id=job_id, state=State.RUNNING, token=token)
    job: Job | None = rows.first()
    return job


def _crash_delay(job: Job, crashes: int, using: str) -> float:
    """Jobs that died together twice try again one after the other, the one that began last first: the one that kills
    workers must not take the others along a third time."""
    if crashes == 1 or not job.worker_id:
        return crash_delay(crashes)
    after = Job.objects.using(using).filter(state=State.RUNNING, worker_id=job.worker_id, started_at__gt=job.started_at)
    return crash_delay(crashes) * (1 + min(after.count(), MOST_AHEAD))


def _write(job: Job, using: str, **columns: Any) -> None:
    Job.objects.using(using).filter(id=job.id, state=State.RUNNING, token=job.token).update(**columns)


def _remember(job: Job, outcome: Outcome, failure: Failure, using: str) -> None:
    """Every unsuccessful attempt keeps its traceback, longer than any result row."""
    Attempt.objects.using(using).create(
        job_id=job.id,
        number=job.attempt,
        outcome=outcome,
        worker=job.worker,
        started_at=job.started_at,
        ended_at=Now(),
        error=failure.error[:255],
        message=storable(failure.message),
        traceback=storable(failure.traceback),
    )


def _death(job: Job, reason: Reason, failure: Failure) -> Death:
    return Death(job, reason, failure.error, storable(failure.message), storable(failure.traceback))


def _announce(deaths: list[Death], using: str) -> None:
    if deaths:
        job_died.send(sender=Job, deaths=deaths, using=using)


def _said(failure: Failure) -> dict[str, str]:
    return {"error": failure.error[:255], "message": storable(failure.message)[:500]}


def _in(seconds: float) -> Any:
    return Now() + timedelta(seconds=seconds)
