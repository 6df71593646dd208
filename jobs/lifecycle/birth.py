"""Enqueue: insert the rows in the caller's transaction; ring after it commits."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connections, router, transaction

from jobs.lifecycle.given import given, types_of
from jobs.lifecycle.moment import adapted, moments_by
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
TIMES = ("run_at", "expires_at")
COLUMNS = (*GIVEN, *TIMES)
#: Decided by the database at the insert.
DECIDED = {
    "state": f"CASE WHEN later THEN '{State.SCHEDULED}' ELSE '{State.QUEUED}' END",
    "hold": "CASE WHEN EXISTS (SELECT 1 FROM jobs_queue WHERE name = job.queue AND paused) "
    f"THEN '{Hold.PAUSED}' ELSE '' END",
    "created_at": "now",
    "rung_at": "CASE WHEN later THEN NULL ELSE now END",
}
#: The order of acceptance is kept by a microsecond a row.
A_MICROSECOND = 0.000001
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
    connection = connections[using]
    now, moments = moments_by("nth", [nth * A_MICROSECOND for nth in range(len(jobs))], using)
    rows = [
        [*(getattr(job, name) for name in GIVEN), *(adapted(connection, getattr(job, name)) for name in TIMES), nth]
        for job, nth in zip(jobs, moments, strict=True)
    ]
    table, params = given({**types_of(Job, COLUMNS, using), "nth": "float8"}, rows, using)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_job ({', '.join((*COLUMNS, *DECIDED))}) "
            f"SELECT {', '.join((*COLUMNS, *DECIDED.values()))} FROM (SELECT *, coalesce(run_at > now, false) AS later "
            f"FROM (SELECT *, {now} AS now FROM {table}) AS timed) AS job "
            "WHERE true ON CONFLICT DO NOTHING RETURNING id, state, hold",
            params,
        )
        born = {row[0]: row[1:] for row in cursor.fetchall()}
    # An id twice in one batch: the first one was inserted.
    first = {job.id: job for job in reversed(jobs)}
    ids = dict.fromkeys(job.id for job in jobs)
    ring_after_commit([first[i] for i in ids if born.get(i) == (State.QUEUED, Hold.NONE)], using)
    return list(born)


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
