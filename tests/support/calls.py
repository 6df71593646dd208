"""What a caller does with Celery, as functions that a station's console can call."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from celery import Task, current_app
from celery.result import AsyncResult


def apply(task: str, args: Sequence[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> str:
    """`task.apply_async(...)`; the id it answers."""
    return str(_task(task).apply_async(list(args), kwargs, **options).id)


def status(id: str) -> str:
    return str(AsyncResult(id).status)


def get(id: str, timeout: float = 30) -> Any:
    """`AsyncResult(id).get()`: the value, or the error it raises."""
    return AsyncResult(id).get(timeout=timeout, interval=0.05)


def facts(id: str) -> dict[str, Any]:
    """What AsyncResult says about a job, without waiting."""
    result = AsyncResult(id)
    value = result.result
    return {
        "status": result.status,
        "ready": result.ready(),
        "successful": result.ready() and result.successful(),
        "failed": result.failed(),
        "result": f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else value,
        "traceback": result.traceback,
    }


def revoke(id: str, terminate: bool = False) -> None:
    """`AsyncResult(id).revoke()`."""
    AsyncResult(id).revoke(terminate=terminate)


def control_revoke(ids: str | list[str], terminate: bool = False) -> None:
    """`app.control.revoke(...)`."""
    current_app.control.revoke(ids, terminate=terminate)


def _task(name: str) -> Task:
    module, _, attribute = name.rpartition(".")
    task: Task = getattr(import_module(module), attribute)
    return task
