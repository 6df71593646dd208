"""Succeed: the end of most attempts, with its result; one statement on PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction

from jobs.lifecycle.moment import moment
from jobs.states import SUCCEED, State


@dataclass(frozen=True)
class ResultRow:
    """A django-celery-results row: what `AsyncResult` reads. Times are filled in from the job."""

    task_id: str
    columns: dict[str, Any]


def succeed(job_id: str, token: str, result: ResultRow | None, *, using: str) -> bool:
    """running → succeeded, with its result; False for a late writer."""
    connection = connections[using]
    now, at = moment(using)
    update = (
        f"UPDATE jobs_job SET state = '{SUCCEED.target}', finished_at = {now}, token = NULL, worker_id = NULL, "
        f"lease_until = NULL, error = '', message = '' WHERE id = %s AND state = '{State.RUNNING}' AND token = %s"
    )
    if result is None:
        with connection.cursor() as cursor:
            cursor.execute(update, [*at, job_id, token])
            return bool(cursor.rowcount)
    if connection.vendor == "postgresql":
        source = f"WITH job AS ({update} RETURNING created_at, started_at) "
        return bool(_store(result, "FROM job", source, [*at, job_id, token], using))
    with transaction.atomic(using=using, savepoint=False), connection.cursor() as cursor:
        cursor.execute(update, [*at, job_id, token])
        if not cursor.rowcount:
            return False
        _store(result, "FROM jobs_job WHERE id = %s", "", [], using, [job_id])
    return True


def store(result: ResultRow, using: str) -> None:
    """Write a result row by itself, in one statement (a state that user code stores, an id that has no job)."""
    now, at = moment(using)
    _store(result, f"FROM (SELECT {now} AS created_at, NULL AS started_at) AS made", "", [], using, at, now_params=True)


def _store(
    result: ResultRow,
    source: str,
    prefix: str,
    prefix_params: list[Any],
    using: str,
    source_params: Sequence[Any] = (),
    now_params: bool = False,
) -> int:
    """The upsert: `INSERT ... SELECT values, times FROM source ON CONFLICT DO UPDATE`."""
    now, at = moment(using)
    columns = {"task_id": result.task_id, **result.columns}
    names = [*columns, "date_created", "date_started", "date_done"]
    kept = [name for name in names if name not in ("task_id", "date_created")]
    timed = connections[using].vendor == "postgresql"
    cast = "::timestamptz" if timed else ""
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"{prefix}INSERT INTO django_celery_results_taskresult ({', '.join(names)}) "
            f"SELECT {', '.join(['%s'] * len(columns))}, created_at{cast}, started_at{cast}, {now} {source} "
            + ("WHERE true " if not timed and "WHERE" not in source else "")
            + "ON CONFLICT (task_id) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in kept),
            [*prefix_params, *columns.values(), *at, *source_params],
        )
        return int(cursor.rowcount)
