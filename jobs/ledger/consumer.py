"""The consumer cut: the worker's signs of life, its way back to Redis, and messages that it can't run."""

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from django.db import DatabaseError, InterfaceError, connections, router

from jobs import lifecycle, pulse
from jobs.conf import conf
from jobs.ledger import children, undecodable
from jobs.ledger.heartbeat import Heartbeat
from jobs.ledger.locks import RowLocked, impatient
from jobs.messages import dumps
from jobs.models import Job
from jobs.safety import end_if_unsafe

logger = logging.getLogger(__name__)


class NamesNoTask(ValueError):
    """A message without the name of a task."""

    def __init__(self) -> None:
        super().__init__("The message names no task.")


class LedgerConsumer(Consumer):
    """Celery's consumer; from its start until the pool is empty the worker's heart beats."""

    heartbeat: Heartbeat | None = None
    #: Redis was asked whether it may evict hints.
    asked = False

    def start(self) -> None:
        children.prepare()
        self._pulse()
        self.timer.call_repeatedly(conf().heartbeat, self._pulse)
        self.heartbeat = Heartbeat(
            name=self.hostname,
            queues=list(self.app.amqp.queues.consume_from),
            concurrency=getattr(self.controller, "concurrency", 1) or 1,
            pool=str(getattr(self.pool, "__module__", "")).rpartition(".")[2],
            tasks=sorted(name for name in self.app.tasks if not name.startswith("celery.")),
        )
        self.heartbeat.start()
        super().start()

    def shutdown(self) -> None:
        """Called when every step, the pool too, has stopped: no job runs any more."""
        super().shutdown()
        if self.heartbeat:
            self.heartbeat.stop()
        pulse.end("worker", self.hostname)

    def connect(self) -> Any:
        connection = super().connect()
        self.asked = self.asked or end_if_unsafe()
        return connection

    def ensure_connected(self, conn: Any) -> Any:
        """Try until Redis answers; kombu's own waits between the tries grow to half a minute."""

        def said(error: Exception, wait: float) -> None:
            logger.error("Redis can't be reached (%s); trying again in %.1f s", error, wait)

        conn.ensure_connection(
            said,
            interval_start=conf().reconnect_first,
            interval_step=conf().reconnect_first,
            interval_max=conf().reconnect_max,
            callback=self._meanwhile,
        )
        self.first_connection_attempt = False
        self.broker_connection_retry_attempt = 0
        return conn

    def _meanwhile(self) -> None:
        self._pulse()
        maybe_shutdown()

    def _pulse(self) -> None:
        pulse.beat("worker", self.hostname)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Redis is gone. kombu would put unacked hints back through a connection that it has just closed, and the
        worker would die of that; the table has the jobs, and what runs runs on."""
        for channel in _channels(self.connection):
            channel.do_restore = False
        super().on_connection_error_after_connected(exc)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """Celery's own, which lets whatever a message makes it say end the worker."""
        handle = super().create_task_handler(*args, **kwargs)

        def handled(message: Any) -> Any:
            try:
                return handle(message)
            except KeyError as error:  # a header is missing; kombu counts KeyError among the connection's errors
                return self.on_decode_error(message, error)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:  # noqa: BLE001  (a body that is no list, a name that is none ...)
                return self.on_decode_error(message, error)

        return handled

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Kept, if it names no job; else its job is rung again, or dies if its row can't be read either."""
        undecodable.keep(_bytes(message), _queue(message), exc, job_id=str((message.headers or {}).get("id") or ""))
        message.ack_log_error(logger, self.connection_errors)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """It names no task."""
        undecodable.keep(_bytes(message), _queue(message), NamesNoTask())
        message.ack_log_error(logger, self.connection_errors)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Of a content type that is not accepted (pickle runs what it likes), or without an id."""
        self.on_decode_error(message, exc)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Held, not dropped: it runs when a worker that knows the task appears."""
        job_id, name = message.headers.get("id"), message.headers.get("task")
        logger.error("Job %s is held: this worker knows no task %r", job_id, name)
        using = router.db_for_write(Job)
        try:
            with impatient(using):
                lifecycle.hold_unknown(str(job_id), using)
        except (DatabaseError, InterfaceError, RowLocked) as error:
            logger.warning("The hold of job %s can't be written (%s); it is rung again later", job_id, error)
        finally:
            connections[using].close()
        message.ack_log_error(logger, self.connection_errors)


def _channels(connection: Any) -> list[Any]:
    """Every open channel of a kombu connection."""
    channels = [*getattr(connection.transport, "channels", ()), connection._default_channel]
    return [channel for channel in channels if channel is not None]


def _bytes(message: Any) -> bytes:
    """The message as it lay in Redis, but for the order of its keys."""
    return dumps(message._raw).encode()


def _queue(message: Any) -> str:
    return str((message.delivery_info or {}).get("routing_key") or "")
