"""The publish cut: whatever Celery would send becomes a row. Every way in ends at `AMQP.send_task_message`."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from celery import signals
from celery.app.amqp import AMQP
from celery.app.routes import Router
from celery.exceptions import QueueNotFound

from jobs import lifecycle
from jobs.conf import conf
from jobs.errors import UnknownQueue
from jobs.ledger import current
from jobs.ledger.drafts import draft
from jobs.models import Job
from jobs.queues import declared, kombu_queues

logger = logging.getLogger(__name__)


@dataclass
class Batch:
    """Rows collected for one INSERT, and what became of them."""

    jobs: list[Job] = field(default_factory=list)
    tags: dict[str, Any] = field(default_factory=dict)
    #: Posted id → the id of the job (another one for a unique key that a live job has).
    posted: dict[str, str] = field(default_factory=dict)
    #: When this batch last delivered, or began (monotonic seconds).
    delivered: float = field(default_factory=time.monotonic)

    def add(self, job: Job, tags: tuple[str, ...]) -> None:
        """One more. What is drawn from a generator does not wait for what may take long to draw."""
        self.jobs.append(job)
        if tags:
            self.tags[job.id] = tags
        if job.group_id in being_drawn and (self.first or time.monotonic() - self.delivered > conf().slow_draw):
            self.deliver()

    @property
    def first(self) -> bool:
        """Nothing was delivered yet."""
        return not self.posted

    def deliver(self) -> None:
        self.delivered = time.monotonic()
        jobs, self.jobs = self.jobs, []
        tags, self.tags = self.tags, {}
        held = current.claim()
        if held and current.is_continuing() and not held.settling:
            held.outbox.extend(jobs)
            held.outbox_tags.update(tags)
        elif jobs:
            posted = lifecycle.enqueue(jobs, tags=tags, by_worker=current.is_continuing())
            self.posted.update({p.posted_id: p.job_id for p in posted})


#: Ids of the groups whose members are being drawn from a generator.
being_drawn: set[str] = set()

_batch: ContextVar[Batch | None] = ContextVar("batch", default=None)


@contextmanager
def collecting() -> Iterator[Batch]:
    """Every job posted inside becomes part of one INSERT and one ring, all or none, at the outermost exit.

    But for the header of a chord that is drawn from a generator: its first members run while the last are drawn.
    """
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
        job = draft(self.app, name, message, options)
        held = current.holds(job.id)
        if held and job.retries > held.retries:
            held.retry = job
            return
        with collecting() as batch:
            batch.add(job, tuple(str(tag) for tag in tags or ()))
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
