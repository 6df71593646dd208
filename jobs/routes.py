"""Which queue a task's jobs go to when nobody names one."""

from typing import Any

from celery import current_app

from jobs.errors import UnknownQueue
from jobs.queues import declared
from jobs.redaction import is_plumbing
from jobs.registry import registered_tasks


def queue_of(task: Any) -> str:
    """By the task's own option, the routes, or the default. Raises UnknownQueue."""
    options = {"queue": task.queue} if getattr(task, "queue", None) else {}
    route = current_app.amqp.router.route(options, task.name)
    queue = route.get("queue")
    name = str(getattr(queue, "name", queue))
    if name not in declared():
        raise UnknownQueue(name, declared())
    return name


def own_tasks() -> list[Any]:
    """Every task of the project and its modules, not Celery's own."""
    return [task for _, task in sorted(registered_tasks().items()) if not is_plumbing(task)]
