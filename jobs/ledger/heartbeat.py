"""The worker's row, its heartbeat, and what its parent could not settle at once."""

import logging
import os
import threading
from typing import Any

from billiard.common import TERM_SIGNAME
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections, router
from django.db.models.functions import Now
from django.utils import timezone

from jobs.conf import conf
from jobs.ledger import current, postponed
from jobs.lifecycle.moment import now
from jobs.models import Worker

logger = logging.getLogger(__name__)


class Heartbeat(threading.Thread):
    """Writes the worker's row every `conf().heartbeat` seconds, on a connection that it opens and closes each time:
    the parent forks, and no connection may cross that."""

    def __init__(self, *, name: str, queues: list[str], concurrency: int, pool: str, tasks: list[str]) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.row: dict[str, Any] = {
            "name": name[:255],
            "pid": os.getpid(),
            "queues": ",".join(queues)[:1000],
            "concurrency": concurrency,
            "pool": pool,
            "tasks": "\n".join(tasks),
        }
        self.facts = {
            "remap_sigterm": TERM_SIGNAME != "SIGTERM",
            "soft_shutdown": settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT,
        }
        self.using = router.db_for_write(Worker)
        self.over = threading.Event()

    def run(self) -> None:
        done = False
        while not self.over.is_set():
            try:
                done = self.beat()
            except Exception:
                logger.exception("The heartbeat stumbled, and goes on")
            self.over.wait(conf().heartbeat if done else conf().heartbeat / 5)

    def beat(self) -> bool:
        """One heartbeat; whether it was written, and nothing more is to be done soon. A database that is down is no
        reason to stop."""
        try:
            workers = Worker.objects.using(self.using)
            facts = {**self.facts, "skew": round((now(self.using) - timezone.now()).total_seconds(), 3)}
            if not workers.filter(id=current.PROCESS).update(heartbeat_at=Now(), stopped_at=None, facts=facts):
                workers.create(id=current.PROCESS, started_at=Now(), heartbeat_at=Now(), facts=facts, **self.row)
            return not postponed.write_postponed()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The worker's heartbeat can't be written: %s", error)
            return False
        finally:
            connections[self.using].close()

    def stop(self) -> None:
        """The worker holds no job any more: say so, so that nobody waits for its silence."""
        self.over.set()
        self.join(timeout=5)
        try:
            postponed.write_postponed()
            Worker.objects.using(self.using).filter(id=current.PROCESS).update(stopped_at=Now())
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The worker's end can't be written: %s", error)
        finally:
            connections[self.using].close()
