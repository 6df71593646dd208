"""The job of a tick: what a schedule's row says about it, as `apply_async` takes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app
from celery.utils import uuid
from django_celery_beat.models import PeriodicTask

from jobs.messages import loads
from jobs.registry import registered_tasks

#: The highest of ours; django-celery-beat's own form takes more.
MOST_PRIORITY = 9


def send(row: PeriodicTask, tick: datetime, now: datetime, run_at: datetime | None = None) -> str:
    """Enqueues the job of this tick; its id. In `publish.collecting()` it is one row of its INSERT.

    `now` is the database's time; a `run_at` after it lets the job wait until then.
    """
    job_id, later = uuid(), run_at if run_at is not None and run_at > now else None
    options = {**_options(row), "headers": _headers(row, tick, later or now), "task_id": job_id}
    if later is not None:
        options["eta"] = later
    args, kwargs = loads(row.args or "[]"), loads(row.kwargs or "{}")
    task = registered_tasks().get(row.task)
    if task is None:  # another version's worker knows it
        current_app.send_task(row.task, args, kwargs, **options)
    else:
        task.apply_async(args, kwargs, **options)
    return str(job_id)


def _options(row: PeriodicTask) -> dict[str, Any]:
    given: dict[str, Any] = {name: getattr(row, name) for name in ("queue", "exchange", "routing_key")}
    if isinstance(row.priority, int):
        given["priority"] = max(0, min(row.priority, MOST_PRIORITY))
    return {name: value for name, value in given.items() if value not in (None, "")}


def _headers(row: PeriodicTask, tick: datetime, start: datetime) -> dict[str, Any]:
    ends = _expiry(row, start)
    return {
        **loads(row.headers or "{}"),
        "celery_beat_task": True,
        "periodic_task_name": row.name,
        "tick": tick.astimezone(UTC).isoformat(),
        # As a header: `apply_async(expires=)` would hold it against this host's clock.
        **({"expires": ends.isoformat()} if ends else {}),
    }


def _expiry(row: PeriodicTask, start: datetime) -> datetime | None:
    """When the job expires; of two ends the time wins, as stock beat has it."""
    if row.expires:
        return row.expires
    return start + timedelta(seconds=row.expire_seconds) if row.expire_seconds else None
