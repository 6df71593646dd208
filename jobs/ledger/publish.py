"""The publish cut: whatever Celery would send becomes a row. Every way in ends at `AMQP.send_task_message`."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery import signals
from celery.app.amqp import AMQP
from celery.app.routes import Router
from celery.exceptions import QueueNotFound
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware, make_aware

from jobs import lifecycle
from jobs.conf import conf
from jobs.errors import ArgumentsTooLarge, UnknownQueue
from jobs.ledger import current
from jobs.messages import dumps
from jobs.models import Job
from jobs.queues import declared, kombu_queues
from jobs.redaction import repr_for_events

logger = logging.getLogger(__name__)

#: Ours, not the message's.
OURS = ("tags", "unique_key", "root_job_id", "requeued_from_id")
#: Of the publish, not of the message; the times are the table's.
OF_THE_PUBLISH = frozenset(
    "connection retry retry_policy expiration result_cls producer mandatory immediate exchange_type declare serializer "
    "compression delivery_mode event_dispatcher timeout confirm_timeout".split()
)


@dataclass
class Batch:
    """Rows collected for one INSERT, and what became of them."""

    jobs: list[Job] = field(default_factory=list)
    tags: dict[str, Any] = field(default_factory=dict)
    #: Posted id → the id of the job (another one for a unique key that a live job has).
    posted: dict[str, str] = field(default_factory=dict)

    def deliver(self) -> None:
        jobs, self.jobs = self.jobs, []
        tags, self.tags = self.tags, {}
        held = current.claim()
        if held and current.is_continuing() and not held.settling:
            held.outbox.extend(jobs)
        elif jobs:
            posted = lifecycle.enqueue(jobs, tags=tags, by_worker=current.is_continuing())
            self.posted.update({p.posted_id: p.job_id for p in posted})


_batch: ContextVar[Batch | None] = ContextVar("batch", default=None)


@contextmanager
def collecting() -> Iterator[Batch]:
    """Every job posted inside becomes part of one INSERT and one ring, all or none, at the outermost exit."""
    if open_batch := _batch.get():
        yield open_batch
        return
    batch = Batch()
    token = _batch.set(batch)
    try:
        yield batch
    finally:
        _batch.reset(token)
    batch.deliver()


def deliver_collected() -> None:
    """Before somebody waits for a result: what is still being collected is inserted now."""
    if batch := _batch.get():
        batch.deliver()


class LedgerRouter(Router):
    def expand_destination(self, route: Any) -> Any:
        """A misspelt queue fails with a sentence that names the setting."""
        name = route if isinstance(route, str) else route.get("queue")
        try:
            return super().expand_destination(route)
        except QueueNotFound as error:
            raise UnknownQueue(str(name), declared()) from error


class LedgerAMQP(AMQP):
    """Celery's message factory, whose sender inserts rows."""

    collecting = staticmethod(collecting)

    def Queues(self, queues: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N802  (Celery's name)
        return super().Queues(queues or kombu_queues(), *args, **kwargs)

    def Router(self, queues: Any = None, create_missing: Any = None) -> Any:  # noqa: N802  (Celery's name)
        create = self.app.either("task_create_missing_queues", create_missing)
        return LedgerRouter(self.routes, queues or self.queues, create, app=self.app)

    def _retry_publish(self, publish: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The tracer posts links, chain steps and chords of a finished body through here."""
        with current.continuing():
            return publish(*args, **kwargs)

    def _create_task_sender(self) -> Callable[..., None]:
        return self._send

    def _send(self, producer: Any, name: str, message: Any, **options: Any) -> None:
        """Instead of publishing: a row in the batch; a retry of the running job goes to its claim."""
        tags = options.pop("tags", None)
        job = self._job(name, message, options)
        held = current.holds(job.id)
        if held and job.retries > held.retries:
            held.retry = job
            return
        with collecting() as batch:
            batch.jobs.append(job)
            if tags:
                batch.tags[job.id] = tuple(str(tag) for tag in tags)
        if message[3]:
            self._tell_sent(message[3], job.queue, producer, options)
        signals.after_task_publish.send(
            sender=name, body=message[2], headers=message[0], exchange="", routing_key=job.queue
        )

    def _tell_sent(self, event: dict[str, Any], queue: str, producer: Any, options: dict[str, Any]) -> None:
        """The `task-sent` event, if `task_send_sent_event` wants it; kept back while Redis is down, as stock does."""
        event.update(queue=queue, exchange="", routing_key=queue)
        conf = self.app.conf
        self._event_dispatcher.publish(
            "task-sent",
            event,
            producer,
            retry=conf.task_publish_retry,
            retry_policy={**conf.task_publish_retry_policy, **(options.get("retry_policy") or {})},
        )

    def _job(self, name: str, message: Any, options: dict[str, Any]) -> Job:
        """The row of this message."""
        headers, properties, body, _ = message
        headers.update(options.pop("headers", None) or {})
        ours = {key: options.pop(key, None) for key in OURS}
        queue = self._queue(options)
        priority = options.pop("priority", None)
        properties.update({k: v for k, v in options.items() if k not in OF_THE_PUBLISH and v is not None})
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
        task = self.app.tasks.get(name)
        if getattr(task, "secrets", None):
            headers["argsrepr"], headers["kwargsrepr"] = repr_for_events(task, body[0], body[1])
        text = dumps(body)
        _check_size(name, text, body)
        max_retries = getattr(task, "max_retries", None)
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
            envelope=dumps({"headers": headers, "properties": properties}),
            ignore_result=bool(headers.get("ignore_result")),
            root_job_id=ours["root_job_id"] or headers["id"],
            requeued_from_id=ours["requeued_from_id"],
            canvas_id=headers.get("root_id"),
            parent_id=headers.get("parent_id"),
            group_id=headers.get("group"),
            schedule=properties.pop("periodic_task_name", None) or headers.get("periodic_task_name"),
            unique_key=ours["unique_key"],
        )

    def _queue(self, options: dict[str, Any]) -> str:
        """The queue's name, of what `send_task` has routed."""
        queue, exchange, key = (options.pop(name, None) for name in ("queue", "exchange", "routing_key"))
        routed = getattr(queue, "name", queue) or (key if exchange in ("", None) else None)
        name = str(routed or self.app.conf.task_default_queue)
        if name not in declared():
            raise UnknownQueue(name, declared())
        return name


def _time(told: str | None) -> datetime | None:
    """An ISO 8601 time of a message's header."""
    if not told:
        return None
    value = parse_datetime(told)
    if value is None:
        raise ValueError(f"{told!r} is not an ISO 8601 time.")
    return value if is_aware(value) else make_aware(value)


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
