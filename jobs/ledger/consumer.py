"""The consumer cut: the worker's row and heartbeat, and hints of tasks that this worker does not know."""

import logging
import os
from typing import Any

from celery.worker.consumer import Consumer
from django.db import DatabaseError, InterfaceError, connections, router, transaction

from jobs import lifecycle
from jobs.ledger.heartbeat import Heartbeat
from jobs.messages import readable
from jobs.models import Job
from jobs.states import Reason

logger = logging.getLogger(__name__)


class LedgerConsumer(Consumer):
    """Celery's consumer; from its start until the pool is empty the worker's heart beats."""

    heartbeat: Heartbeat | None = None

    def start(self) -> None:
        _close_connections_before_forks()
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

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Redis is gone. kombu would put unacked hints back through a connection that it has just closed, and the
        worker would die of that; the table has the jobs, and what runs runs on."""
        for channel in _channels(self.connection):
            channel.do_restore = False
        super().on_connection_error_after_connected(exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Dropped. If its job can't be read either it dies, else its hint would be rung for ever."""
        super().on_decode_error(message, exc)
        using = router.db_for_write(Job)
        try:
            job = Job.objects.using(using).filter(id=str(message.headers.get("id"))).first()
            if job is not None and not readable(job.body):
                with transaction.atomic(using=using):
                    self.app.backend.fail_waiting([job.id], Reason.UNDECODABLE, exc)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The death of a job can't be written (%s); it is rung again later", error)
        finally:
            connections[using].close()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Held, not dropped: it runs when a worker that knows the task appears."""
        job_id, name = message.headers.get("id"), message.headers.get("task")
        logger.error("Job %s is held: this worker knows no task %r", job_id, name)
        using = router.db_for_write(Job)
        try:
            lifecycle.hold_unknown(str(job_id), using)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The hold of job %s can't be written (%s); it is rung again later", job_id, error)
        finally:
            connections[using].close()
        message.ack_log_error(logger, self.connection_errors)


def _channels(connection: Any) -> list[Any]:
    """Every open channel of a kombu connection."""
    channels = [*getattr(connection.transport, "channels", ()), connection._default_channel]
    return [channel for channel in channels if channel is not None]


def _close_connections_before_forks() -> None:
    """No connection crosses a fork: the parent's (a result it looked up) are closed before a child is made."""
    parent = os.getpid()

    def close() -> None:
        if os.getpid() == parent:
            for connection in connections.all(initialized_only=True):
                if not connection.in_atomic_block:
                    connection.close()

    os.register_at_fork(before=close)
