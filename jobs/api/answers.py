"""Jobs as the API shows them; secrets hidden from callers who may not see them."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django_celery_results.models import TaskResult
from pydantic_core import PydanticSerializationError, to_json

from jobs import messages
from jobs.models import Attempt, Job
from jobs.redaction import MASK, redacted, redacted_text, redacted_value
from jobs.registry import registered_tasks
from jobs.states import CELERY_STATUS, ENDED, State

#: What a step without a row of its own came to.
STATE_OF_STATUS = {
    "SUCCESS": State.SUCCEEDED,
    "FAILURE": State.DEAD,
    "REVOKED": State.CANCELLED,
    "STARTED": State.RUNNING,
    "RETRY": State.RETRYING,
}


def reply(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A JSON answer; what JSON can't say (NaN, a foreign object) is null or text in it."""
    return HttpResponse(written(answer), status=status, content_type="application/json", headers=headers)


def written(answer: Any) -> bytes:
    """JSON text of whatever a task can return."""
    try:
        return to_json(answer, inf_nan_mode="null", fallback=str)
    except PydanticSerializationError:  # half a surrogate pair: JSON can escape it, UTF-8 can't
        return json.dumps(answer, default=str).encode()


def job_row(job: Job) -> dict[str, Any]:
    """A job as it stands in a list."""
    return {
        "task_id": job.id,
        "task": job.task,
        "status": CELERY_STATUS[State(job.state)],
        "state": job.state,
        "hold": job.hold or None,
        "queue": job.queue,
        "priority": job.priority,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "created_at": job.created_at,
        "run_at": job.run_at,
        "expires_at": job.expires_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "worker": job.worker,
        "cancel_requested": job.cancel_requested,
        "last_error": job.error or None,
    }


def job_detail(job: Job, *, unredacted: bool) -> dict[str, Any]:
    """A job with its arguments, progress and end."""
    args, kwargs = arguments_of(job.body)
    shown_args, shown_kwargs = shown(job.task, args, kwargs, unredacted=unredacted)
    return {
        **job_row(job),
        "args": shown_args,
        "kwargs": shown_kwargs,
        "tags": sorted(job.tags.values_list("tag", flat=True)),
        "unique_key": job.unique_key,
        "requeued_from": job.requeued_from_id,
        "duplicates_prevented": job.duplicates_prevented,
        "progress": _progress(job) if unredacted else redacted_value(_progress(job), _task(job.task), args, kwargs),
        **_end(job, args, kwargs, unredacted),
    }


def arguments_of(body: str) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) of a stored body; none of one that can't be read."""
    try:
        return messages.arguments(body)
    except Exception:  # noqa: BLE001  kombu decodes {"__type__": ...} as it likes, and fails as it likes
        return [], {}


def shown(task: str, args: list[Any], kwargs: dict[str, Any], *, unredacted: bool) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as this caller may see them."""
    return (args, kwargs) if unredacted else redacted(_task(task), args, kwargs)


def shown_text(text: str, task: str, args: list[Any], kwargs: dict[str, Any], *, unredacted: bool) -> str:
    """An error or traceback as this caller may see it."""
    return text if unredacted else redacted_text(text, _task(task), args, kwargs)


def step_detail(result: TaskResult, *, unredacted: bool) -> dict[str, Any]:
    """A canvas step that never got a row, from its result. Its arguments are unknown: any text may be secret."""
    state = STATE_OF_STATUS.get(result.status, State.SCHEDULED)
    answer = {
        **job_row(Job(id=result.task_id, task=result.task_name or "", state=state)),
        **dict.fromkeys(("hold", "queue", "attempt", "args", "kwargs", "unique_key", "requeued_from", "progress")),
        "duplicates_prevented": 0,
        "status": result.status,
        "created_at": result.date_created,
        "finished_at": result.date_done,
        "tags": [],
    }
    if state is State.SUCCEEDED:
        return {**answer, "result": _value(result) if unredacted else MASK}
    kind, said = _error(result)
    return {
        **answer,
        "error": f"{kind}: {said}" if unredacted else kind,
        "traceback": result.traceback if unredacted else None,
    }


def _progress(job: Job) -> Any:
    """What the body last told: by `report_progress`, or while it runs by Celery's `update_state`."""
    if job.progress:
        return messages.loads(job.progress)
    if job.state != State.RUNNING:
        return None
    told = TaskResult.objects.filter(task_id=job.id).exclude(status__in=("PENDING", *STATE_OF_STATUS)).first()
    return _value(told) if told else None


def _end(job: Job, args: list[Any], kwargs: dict[str, Any], unredacted: bool) -> dict[str, Any]:
    if job.state not in ENDED:
        return {"result": None}
    if job.state == State.SUCCEEDED:
        return _result(job, args, kwargs, unredacted)
    last = Attempt.objects.filter(job_id=job.id).order_by("-number", "-id").first()
    ended_by_attempt = job.state == State.DEAD and last is not None
    trace = last.traceback if last and ended_by_attempt else ""
    said = f"{job.error}: {last.message if last and ended_by_attempt else job.message}" if job.error else ""
    error = said if job.state == State.DEAD else f"The job was {job.state}."
    return {
        "error": shown_text(error, job.task, args, kwargs, unredacted=unredacted),
        "traceback": shown_text(trace, job.task, args, kwargs, unredacted=unredacted) or None,
    }


def _result(job: Job, args: list[Any], kwargs: dict[str, Any], unredacted: bool) -> dict[str, Any]:
    stored = TaskResult.objects.filter(task_id=job.id).first()
    if stored is None:
        return {"result": None} if job.ignore_result else {"result": None, "result_expired": True}
    value = _value(stored)
    return {"result": value if unredacted else redacted_value(value, _task(job.task), args, kwargs)}


def _value(result: TaskResult) -> Any:
    return messages.loads(result.result) if result.result else None


def _error(result: TaskResult) -> tuple[str, str]:
    stored = _value(result)
    if not isinstance(stored, dict):
        return result.status, str(stored)
    said = stored.get("exc_message")
    return str(stored.get("exc_type")), " ".join(map(str, said)) if isinstance(said, list | tuple) else str(said)


def _task(name: str) -> Any | None:
    return registered_tasks().get(name)
