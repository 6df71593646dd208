"""Django system checks: what is unsafe whatever the servers say. `manage.py check` runs them, and doctor shows them."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from jobs import safety
from jobs.conf import conf
from jobs.errors import UnknownQueue
from jobs.routes import own_tasks, queue_of

#: Seconds: a hung job is noticed after its hard limit, not before.
LONG = 3600
#: What jobs.E003 becomes with JOBS_ALLOW_UNSAFE_BROKER, so that `migrate` is not refused either.
ALLOWED = "jobs.W005"
#: The cuts that hold the ledger in Celery.
OURS = {
    "CELERY_RESULT_BACKEND": "jobs.ledger.results:LedgerBackend",
    "CELERY_WORKER_CONSUMER": "jobs.ledger.consumer:LedgerConsumer",
    "CELERY_BEAT_SCHEDULER": "jobs.beat:LedgerScheduler",
}


def check_limits(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Every task has a hard limit, a soft one before it, and a queue."""
    try:
        tasks = own_tasks()
    except Exception as error:  # noqa: BLE001  a task's module may fail in any way
        says = f"The tasks can't be loaded: {type(error).__name__}: {error}."
        return [Error(says, hint="Mend the module, or JOBS_TASK_MODULES.", id="jobs.E009")]
    return [message for task in tasks for message in (*_hard_limit(task), *_soft_limit(task), *_queue(task))]


def check_broker(app_configs: Any = None, **_: Any) -> Iterator[CheckMessage]:
    """The transport waits longer than any job runs, and makes no caller wait for ever."""
    if refusal := _short_visibility():
        allowed = conf().allow_unsafe_broker
        yield Caution(refusal, id=ALLOWED) if allowed else Error(refusal, id="jobs.E003")
    for name in ("socket_timeout", "socket_connect_timeout"):
        if not settings.CELERY_BROKER_TRANSPORT_OPTIONS.get(name):
            says = f"CELERY_BROKER_TRANSPORT_OPTIONS has no {name}: a silent Redis holds callers and workers for ever."
            yield Error(says, hint="Set it to a second.", id="jobs.E004")


def check_celery(app_configs: Any = None, **_: Any) -> Iterator[CheckMessage]:
    """Celery is cut where the ledger needs it, and told nothing that goes round the ledger."""
    for name, ours in OURS.items():
        if getattr(settings, name, None) != ours:
            says = f"{name} is not {ours}: jobs would not be accepted, claimed or settled in the table."
            yield Error(says, hint="Take your own value away.", id="jobs.E005")
    if getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
        says = "CELERY_TASK_ALWAYS_EAGER runs jobs in their caller, unrecorded and without limits."
        yield Error(says, hint="Take it away.", id="jobs.E006")
    if unsafe := set(settings.CELERY_ACCEPT_CONTENT) - {"json", "application/json"}:
        says = f"Workers accept {', '.join(sorted(unsafe))}, which the table can't store; pickle runs what it is sent."
        yield Error(says, hint='CELERY_ACCEPT_CONTENT = ["json"]', id="jobs.E007")
    if settings.CELERY_WORKER_PREFETCH_MULTIPLIER != 1:
        says = "CELERY_WORKER_PREFETCH_MULTIPLIER is not 1: busy workers hold hints that idle ones could run."
        yield Caution(says, hint="Set it to 1.", id="jobs.W003")
    if not settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT > 0:
        says = "SOFT_SHUTDOWN_TIMEOUT is 0: a worker that stops hands its running jobs back at once."
        yield Caution(says, hint="Set it to some seconds less than the container's grace.", id="jobs.W004")


CHECKS = (check_limits, check_broker, check_celery)


def _short_visibility() -> str:
    with suppress(Exception):  # jobs.E009 says why the tasks can't be loaded
        return str(safety.short_visibility() or "")
    return ""


def _hard_limit(task: Any) -> Iterator[CheckMessage]:
    limit = _hard(task)
    if not limit:
        says = f"{task.name} has no hard time limit: it may run for ever."
        yield Error(says, hint="Set CELERY_TASK_TIME_LIMIT, or its own time_limit.", id="jobs.E001")
    elif limit > LONG:
        says = f"{task.name} may run {limit:g} s before a hung job of it is stopped."
        yield Caution(says, hint="Split it, or give it a shorter time_limit.", id="jobs.W001")


def _soft_limit(task: Any) -> Iterator[CheckMessage]:
    hard, common = _hard(task), settings.CELERY_TASK_SOFT_TIME_LIMIT
    soft = task.soft_time_limit or common
    if not hard or not soft or soft < hard:
        return
    says = f"The soft time limit of {task.name} ({soft:g} s) is not below its hard one ({hard:g} s): it never comes."
    hint = "Give the task a soft_time_limit below its time_limit."
    yield Caution(says, hint=hint, id="jobs.W002") if soft == common else Error(says, hint=hint, id="jobs.E002")


def _queue(task: Any) -> Iterator[CheckMessage]:
    try:
        queue_of(task)
    except UnknownQueue as refused:
        yield Error(f"{task.name} is routed to no queue. {refused}", id="jobs.E008")


def _hard(task: Any) -> float:
    """Seconds. Celery gives a task without its own limits those of the settings when it binds it."""
    return float(task.time_limit or settings.CELERY_TASK_TIME_LIMIT or 0)
