"""What people do: each verb is a move of the ledger and its Activity row, in one transaction."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import router, transaction

from jobs import activity, lifecycle
from jobs.errors import UnknownJob, UnknownQueue, UnknownTask, WrongState
from jobs.ledger import control
from jobs.ledger.control import Revoked
from jobs.messages import arguments, dumps, loads, with_arguments
from jobs.models import Job
from jobs.queues import declared
from jobs.redaction import repr_for_events
from jobs.registry import registered_tasks
from jobs.signatures import signature_of
from jobs.states import REQUEUEABLE


def revoke(ids: Sequence[str], *, by: str, reason: str = "", terminate: bool = False) -> Revoked:
    """Cancel jobs: waiting ones at once, running ones with `terminate` (else they run on, marked)."""
    using = router.db_for_write(Job)
    with transaction.atomic(using=using):
        done = control.revoke(ids, terminate=terminate)
        for job_id in (*done.cancelled, *done.requested, *done.terminating):
            activity.record(by, "revoke", "job", job_id, reason, using=using, terminate=terminate)
    return done


def requeue(ids: Sequence[str], *, by: str, reason: str = "", record: bool = True) -> list[str]:
    """Give dead, cancelled and expired jobs one more attempt; the ids that were in such a state.

    `record=False` is for a caller that writes its own activity row (the dead letter's).
    """
    using = router.db_for_write(Job)
    with transaction.atomic(using=using):
        moved = lifecycle.requeue(ids, by=by, reason=reason, using=using)
        for job_id in moved if record else ():
            activity.record(by, "requeue", "job", job_id, reason, using=using)
    return moved


def requeue_changed(
    job_id: str,
    *,
    args: list[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    by: str,
    reason: str = "",
    record: bool = True,
) -> str:
    """Run an ended job again with changed arguments, as a new job linked to it; the new id.

    What is given replaces that part whole. Raises UnknownJob, WrongState, UnknownTask, ArgumentsRefused.
    """
    using = router.db_for_write(Job)
    with transaction.atomic(using=using):
        job = Job.objects.using(using).select_for_update().filter(id=job_id).first()
        if job is None:
            raise UnknownJob(job_id)
        if job.state not in REQUEUEABLE:
            raise WrongState(job_id, job.state, "requeued")
        if lifecycle.has_successor(job_id, using):
            raise WrongState(job_id, "already requeued with changes", "requeued again")
        body = with_arguments(job.body, args, kwargs)
        _check(job.task, body)
        new = _successor(job, body)
        lifecycle.enqueue([new], using=using)
        lifecycle.succeed_by(job, new.id, by=by, reason=reason, using=using)
        if record:
            activity.record(by, "requeue changed", "job", job_id, reason, using=using, replaced_by=new.id)
    return str(new.id)


def _check(task: str, body: str) -> None:
    registered = registered_tasks().get(task)
    if registered is None:
        raise UnknownTask(task)
    signature_of(registered).check(*arguments(body))


def _successor(job: Job, body: str) -> Job:
    """The same message under a new id, with the changed arguments."""
    new_id = str(uuid.uuid4())
    envelope = loads(job.envelope)
    task = registered_tasks()[job.task]
    argsrepr, kwargsrepr = repr_for_events(task, *arguments(body))
    envelope["headers"].update(id=new_id, retries=0, eta=None, expires=None, argsrepr=argsrepr, kwargsrepr=kwargsrepr)
    envelope["properties"]["correlation_id"] = new_id
    return Job(
        id=new_id,
        task=job.task,
        queue=job.queue,
        priority=job.priority,
        max_attempts=None if task.max_retries is None else task.max_retries + 1,
        body=body,
        envelope=dumps(envelope),
        ignore_result=job.ignore_result,
        root_job_id=job.root_job_id,
        requeued_from_id=job.id,
        canvas_id=job.canvas_id,
        parent_id=job.parent_id,
        group_id=job.group_id,
        schedule=job.schedule,
    )


def pause(queue: str, *, by: str, reason: str = "") -> bool:
    """No queued job of the queue starts until it is resumed; running ones run on. Kept over restarts.

    False: it was paused already, so nothing changed and nothing is recorded.
    """
    with transaction.atomic(using=_of(queue)):
        paused = lifecycle.pause(queue, by=by, reason=reason, using=_of(queue))
        if paused:
            activity.record(by, "pause", "queue", queue, reason, using=_of(queue))
    return paused


def resume(queue: str, *, by: str, reason: str = "") -> int | None:
    """The queue's jobs may start again; how many were held. None: it was not paused, so nothing is recorded."""
    with transaction.atomic(using=_of(queue)):
        rung = lifecycle.resume(queue, using=_of(queue))
        if rung is not None:
            activity.record(by, "resume", "queue", queue, reason, using=_of(queue), rung=rung)
    return rung


def purge(queue: str, *, by: str, reason: str = "") -> int:
    """Cancel every queued job of the queue; how many. Their hints are dropped at the claim."""
    using = _of(queue)
    with transaction.atomic(using=using):
        cancelled = control.purge(Job.objects.using(using).filter(queue=queue))
        activity.record(by, "purge", "queue", queue, reason, using=using, cancelled=cancelled)
    return cancelled


def _of(queue: str) -> str:
    """The database of a declared queue; raises UnknownQueue."""
    if queue not in declared():
        raise UnknownQueue(queue, declared())
    return str(router.db_for_write(Job))
