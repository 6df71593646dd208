"""Enqueue: insert the rows in the caller's transaction; ring after it commits."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, router, transaction

from jobs.lifecycle.moment import adapted, moment
from jobs.lifecycle.requeueing import repost
from jobs.lifecycle.ringing import ring_after_commit
from jobs.models import Job, JobTag
from jobs.states import Hold, State

logger = logging.getLogger(__name__)

#: Written from the caller's message as it is.
GIVEN = (
    "id task queue priority retries crashes attempt max_attempts token worker_id worker lease_until cancel_requested "
    "started_at finished_at body envelope ignore_result error message progress root_job_id requeued_from_id canvas_id "
    "parent_id group_id schedule unique_key"
).split()
#: Decided by the database at the insert.
DECIDED = ("state", "hold", "created_at", "rung_at", "run_at", "expires_at")
ROWS_PER_INSERT = 500


@dataclass(frozen=True)
class Posted:
    """What became of one posted job: its id, or that of the live job with the same unique key."""

    posted_id: str
    job_id: str


def enqueue(
    jobs: Sequence[Job],
    *,
    tags: dict[str, Sequence[str]] | None = None,
    by_worker: bool = False,
    using: str | None = None,
) -> list[Posted]:
    """Insert these jobs, all or none, and ring those that may start once the transaction commits.

    An id that is posted again: dropped while its job waits or runs; runs again (REQUEUE) when it has ended, but only
    for a caller: what a worker posts for a finished job (chain step, link, chord body) has frozen ids, and comes again
    when that job is replayed.
    """
    using = using or router.db_for_write(Job)
    with transaction.atomic(using=using, savepoint=False):
        born = set(_insert(jobs, using))
        _tag([job_id for job_id in dict.fromkeys(job.id for job in jobs) if job_id in born], tags or {}, using)
        known = [job for job in jobs if job.id not in born]
        posted = {job.id: _known(job, by_worker, using) for job in known}
    return [Posted(job.id, posted.get(job.id, job.id)) for job in jobs]


def _insert(jobs: Sequence[Job], using: str) -> Iterator[str]:
    for start in range(0, len(jobs), ROWS_PER_INSERT):
        yield from _insert_some(jobs[start : start + ROWS_PER_INSERT], using)


def _insert_some(jobs: Sequence[Job], using: str) -> list[str]:
    """One multi-row INSERT; the ids that were new. What is queued is rung after the commit."""
    rows, params = [], []
    for ordinal, job in enumerate(jobs):
        sql, values = _row(job, ordinal, using)
        rows.append(sql)
        params.extend(values)
    columns = ", ".join((*GIVEN, *DECIDED))
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_job ({columns}) VALUES {', '.join(rows)} "
            "ON CONFLICT DO NOTHING RETURNING id, state, hold",
            params,
        )
        born = {row[0]: row[1:] for row in cursor.fetchall()}
    # An id twice in one batch: the first one was inserted.
    first = {job.id: job for job in reversed(jobs)}
    ids = dict.fromkeys(job.id for job in jobs)
    ring_after_commit([first[i] for i in ids if born.get(i) == (State.QUEUED, Hold.NONE)], using)
    return list(born)


def _row(job: Job, ordinal: int, using: str) -> tuple[str, list[Any]]:
    """The VALUES of one job: the order of acceptance is kept by a microsecond a row."""
    connection = connections[using]
    now, at = moment(using, ordinal * 0.000001)
    cast = "::timestamptz" if connection.vendor == "postgresql" else ""
    run_at, expires_at = adapted(connection, job.run_at), adapted(connection, job.expires_at)
    given = [getattr(job, name) for name in GIVEN]
    later = f"%s{cast} IS NOT NULL AND %s{cast} > {now}"
    decided = (
        f"CASE WHEN {later} THEN '{State.SCHEDULED}' ELSE '{State.QUEUED}' END, "
        f"CASE WHEN EXISTS (SELECT 1 FROM jobs_queue WHERE name = %s AND paused) THEN '{Hold.PAUSED}' ELSE '' END, "
        f"{now}, CASE WHEN {later} THEN NULL ELSE {now} END, %s{cast}, %s{cast}"
    )
    values = [*given, run_at, run_at, *at, job.queue, *at, run_at, run_at, *at, *at, run_at, expires_at]
    return f"({', '.join(['%s'] * len(GIVEN))}, {decided})", values


def _tag(ids: Sequence[str], tags: dict[str, Sequence[str]], using: str) -> None:
    rows = [JobTag(job_id=job_id, tag=tag) for job_id in ids for tag in dict.fromkeys(tags.get(job_id, ()))]
    if rows:
        JobTag.objects.using(using).bulk_create(rows)


def _known(job: Job, by_worker: bool, using: str) -> str:
    """What the insert refused: an id posted again, or a unique key that a live job has."""
    live = Job.objects.using(using).live().filter(task=job.task, unique_key=job.unique_key).exclude(id=job.id)
    if Job.objects.using(using).filter(id=job.id).exists():
        if job.unique_key is not None and (twin := live.values_list("id", flat=True).first()):
            return str(twin)
        if repost(job, by_worker=by_worker, using=using):
            logger.info("Job %s was posted again and runs again", job.id)
        return job.id
    if job.unique_key is None:
        # Its row was pruned between the two statements.
        _insert_some([job], using)
        return job.id
    while (twin := live.values_list("id", flat=True).first()) is None:
        # The twin ended between the two statements: this one is first now, or yet another one is.
        if _insert_some([job], using):
            return job.id
    return str(twin)
