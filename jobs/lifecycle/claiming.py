"""Claim: a worker takes a queued job; exactly one claim succeeds and holds the token."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.db import connections, transaction

from jobs.lifecycle.moment import moment, now
from jobs.lifecycle.queueing import hold, paused, take_slot
from jobs.lifecycle.ringing import ring_after_commit
from jobs.models import Job, Queue
from jobs.states import Hold, State


@dataclass(frozen=True)
class Claimed:
    """What the claim says of the job; the arguments come from here, not from the message."""

    id: str
    task: str
    queue: str
    token: str
    attempt: int
    retries: int
    body: str
    envelope: str
    root_job_id: str
    priority: int | None
    #: Stands in one of its queue's slots.
    limited: bool
    using: str


class Refusal(Enum):
    """Why a hint was dropped."""

    GONE = "no such job, or it is not queued"
    EXPIRED = "expired"
    PAUSED = "its queue is paused"
    LIMIT = "its queue's limit is reached"
    OTHER_TASK = "the job's task is another one"


RETURNING = ("id", "task", "queue", "token", "attempt", "retries", "body", "envelope", "root_job_id", "priority")
NO_ROW_IN_THE_WAY = (
    "AND NOT EXISTS (SELECT 1 FROM jobs_queue AS q "
    'WHERE q.name = jobs_job.queue AND (q.paused OR q."limit" IS NOT NULL))'
)


def claim(
    job_id: str, task: str, token: str, *, worker_id: str, worker: str, lease: float, using: str, limited: bool = False
) -> Claimed | Refusal:
    """Take the job: queued → running, attempt + 1, the token and the lease (seconds) set.

    Asked again with the same token (a reply that was lost) it gives the same answer and counts no second attempt.
    """
    take = _in_a_slot if limited else _take
    if row := take(job_id, task, token, worker_id, worker, lease, using):
        return Claimed(**dict(zip(RETURNING, row, strict=True)), limited=limited, using=using)
    return _why_not(job_id, task, token, worker_id, worker, lease, using, limited)


def _take(
    job_id: str,
    task: str,
    token: str,
    worker_id: str,
    worker: str,
    lease: float,
    using: str,
    free: str = NO_ROW_IN_THE_WAY,
) -> tuple[Any, ...] | None:
    """The one conditional UPDATE."""
    now, at = moment(using)
    until, lease_at = moment(using, lease)
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"UPDATE jobs_job SET state = '{State.RUNNING}', hold = '', token = %s, worker_id = %s, worker = %s, "
            f"attempt = attempt + CASE WHEN state = '{State.RUNNING}' THEN 0 ELSE 1 END, "
            f"started_at = {now}, finished_at = NULL, progress = NULL, lease_until = {until} "
            f"WHERE id = %s AND task = %s AND ((state = '{State.QUEUED}' AND hold = '' "
            f"AND (expires_at IS NULL OR expires_at > {now}) {free}) "
            f"OR (state = '{State.RUNNING}' AND token = %s)) RETURNING {', '.join(RETURNING)}",
            [token, worker_id, worker, *at, *lease_at, job_id, task, *at, token],
        )
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def _in_a_slot(
    job_id: str, task: str, token: str, worker_id: str, worker: str, lease: float, using: str
) -> tuple[Any, ...] | None:
    """Slot and claim in one transaction, serialised by the queue's row."""
    found = Job.objects.using(using).filter(id=job_id).values_list("queue", "state").first()
    if found is None:
        return None
    queue, state = found
    if state == State.RUNNING:
        # A second hint, or a lost reply: it needs no slot, and must not wait for one's lock.
        return _take(job_id, task, token, worker_id, worker, lease, using, free="")
    with transaction.atomic(using=using):
        if not take_slot(job_id, queue, using):
            if paused(queue, using):
                return None
            hold(job_id, Hold.LIMIT, using)
            _ring_first(queue, using)
            return None
        row = _take(job_id, task, token, worker_id, worker, lease, using, free="")
        if row is None:
            transaction.set_rollback(True, using=using)
        return row


def _ring_first(queue: str, using: str) -> None:
    """If a slot is free it is another job's turn, whose hint may be lost: ring it."""
    from_line = Job.objects.using(using).filter(queue=queue, state=State.QUEUED, hold__in=(Hold.NONE, Hold.LIMIT))
    first = from_line.order_by("created_at", "id").first()
    row = Queue.objects.using(using).get(name=queue)
    if first and row.limit is not None and row.slots.count() < row.limit:
        from_line.filter(id=first.id).update(hold=Hold.NONE)
        ring_after_commit([first], using)


def _why_not(
    job_id: str, task: str, token: str, worker_id: str, worker: str, lease: float, using: str, limited: bool
) -> Claimed | Refusal:
    """The refusal's reason, written to the row where it must outlive the hint that is dropped now."""
    job = Job.objects.using(using).filter(id=job_id).first()
    if job is None or job.state != State.QUEUED or job.hold == Hold.REPLACED:
        return Refusal.GONE
    if job.task != task:
        return Refusal.OTHER_TASK
    if job.expires_at is not None and job.expires_at <= now(using):
        return Refusal.EXPIRED
    if paused(job.queue, using):
        hold(job_id, Hold.PAUSED, using)
        return Refusal.PAUSED
    if not limited and Queue.objects.using(using).filter(name=job.queue, limit__isnull=False).exists():
        return claim(job_id, task, token, worker_id=worker_id, worker=worker, lease=lease, using=using, limited=True)
    return Refusal.LIMIT if job.hold in (Hold.LIMIT, Hold.NONE) else Refusal.GONE
