"""The row of a Celery message: what a caller posts, as the table keeps it."""

import warnings
from datetime import datetime
from typing import Any

from celery import signals
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware, make_aware

from jobs.conf import conf
from jobs.errors import ArgumentsRefused, ArgumentsTooLarge, UniqueKeyRefused, UnknownQueue
from jobs.ledger import current
from jobs.messages import dumps, loads
from jobs.models import Job
from jobs.queues import declared
from jobs.redaction import repr_for_events
from jobs.registry import registered_tasks

#: Ours, not the message's.
OURS = ("tags", "unique_key", "root_job_id", "requeued_from_id")
#: Of the publish, not of the message; the times are the table's.
OF_THE_PUBLISH = frozenset(
    "connection retry retry_policy expiration result_cls producer mandatory immediate exchange_type declare serializer "
    "compression delivery_mode event_dispatcher timeout confirm_timeout".split()
)


def draft(app: Any, name: str, message: Any, options: dict[str, Any]) -> Job:
    """The unsaved row of what `send_task` has built; raises JobError for what can't be kept or read again."""
    headers, properties, body, _ = message
    headers.update(options.pop("headers", None) or {})
    ours = {key: options.pop(key, None) for key in OURS}
    queue = _queue(app, options)
    priority = options.pop("priority", None)
    properties.update({k: v for k, v in options.items() if k not in OF_THE_PUBLISH and v is not None})
    _texts(headers, properties)
    signals.before_task_publish.send(
        sender=name,
        body=body,
        exchange="",
        routing_key=queue,
        declare=None,
        headers=headers,
        properties=properties,
        retry_policy={},
    )
    task = registered_tasks().get(name)
    if getattr(task, "secrets", None):
        headers["argsrepr"], headers["kwargsrepr"] = repr_for_events(task, body[0], body[1])
    max_retries = getattr(task, "max_retries", None)
    text = _readable(name, "args", body)
    _check_size(name, text, body)
    _check_limits(name, headers)
    return Job(
        id=headers["id"],
        task=name,
        queue=queue,
        priority=priority,
        retries=headers.get("retries") or 0,
        max_attempts=None if max_retries is None else max_retries + 1,
        run_at=_time(headers.get("eta")),
        expires_at=_time(headers.get("expires")),
        body=text,
        envelope=_readable(name, "headers", {"headers": headers, "properties": properties}),
        ignore_result=_ignores_result(headers, task),
        root_job_id=ours["root_job_id"] or headers["id"],
        requeued_from_id=ours["requeued_from_id"],
        canvas_id=headers.get("root_id"),
        parent_id=headers.get("parent_id"),
        group_id=headers.get("group"),
        schedule=properties.pop("periodic_task_name", None) or headers.get("periodic_task_name"),
        unique_key=_unique_key(name, ours["unique_key"], headers, body),
    )


def _queue(app: Any, options: dict[str, Any]) -> str:
    """The queue's name, of what `send_task` has routed."""
    queue, exchange, key = (options.pop(name, None) for name in ("queue", "exchange", "routing_key"))
    routed = getattr(queue, "name", queue) or (key if exchange in ("", None) else None)
    name = str(routed or app.conf.task_default_queue)
    if name not in declared():
        raise UnknownQueue(name, declared())
    return name


def _texts(headers: dict[str, Any], properties: dict[str, Any]) -> None:
    """Ids may come as UUID objects; the table keeps text."""
    for name in ("id", "root_id", "parent_id", "group"):
        if headers.get(name) is not None:
            headers[name] = str(headers[name])
    properties["correlation_id"] = headers["id"]


def _readable(task: str, part: str, value: Any) -> str:
    """The value as stored text; what kombu would write and could not read again is refused now, not by a worker."""
    text = dumps(value)
    if '"__type__"' in text:
        try:
            loads(text)
        except Exception as error:
            raise ArgumentsRefused(task, [{"loc": [part], "msg": f"Can't be read again: {error}"}]) from error
    return text


def _unique_key(task: str, key: str | None, headers: dict[str, Any], body: Any) -> str | None:
    """A live twin takes the place of a job, but not that of a step, for which its canvas would wait for ever."""
    if key is None or current.is_continuing():
        return None
    if headers.get("group") or body[2].get("chain") or body[2].get("chord"):
        raise UniqueKeyRefused(task, key)
    return key


def _ignores_result(headers: dict[str, Any], task: Any) -> bool:
    """What the caller said, or (`send_task` with a name alone) what the task says."""
    given = headers.get("ignore_result")
    return bool(getattr(task, "ignore_result", False) if given is None else given)


def _time(told: str | None) -> datetime | None:
    """An ISO 8601 time of a message's header."""
    if not told:
        return None
    value = parse_datetime(told)
    if value is None:
        raise ValueError(f"{told!r} is not an ISO 8601 time.")
    return value if is_aware(value) else make_aware(value)


def _check_limits(task: str, headers: dict[str, Any]) -> None:
    """A worker's pool reckons with them; what is no number would end the worker, and the next one."""
    for name, limit in zip(("time_limit", "soft_time_limit"), headers.get("timelimit") or (), strict=False):
        if not isinstance(limit, int | float | None):
            raise ArgumentsRefused(task, [{"loc": [name], "msg": f"{limit!r} is no number of seconds."}])


def _check_size(task: str, text: str, body: Any) -> None:
    """What Celery itself passes on (a chord's results) has no limit."""
    if len(text) <= conf().arguments_warn or current.is_continuing() or task.startswith("celery."):
        return
    size = len(dumps(body[:2]))
    if size > conf().arguments_max:
        raise ArgumentsTooLarge(task, size, conf().arguments_max)
    if size > conf().arguments_warn:
        warnings.warn(
            f"The arguments of {task} are {size:,} bytes as JSON; store the data and pass its key.",
            ResourceWarning,
            stacklevel=2,
        )
