"""Messages that nobody can read: one that names no job is kept as a dead letter, with its bytes."""

import logging
from functools import partial

from celery import current_app
from django.db import DatabaseError, InterfaceError, connections, router, transaction

from jobs.ledger import spool
from jobs.ledger.locks import RowLocked, impatient
from jobs.messages import readable
from jobs.models import Job
from jobs.signals import message_undecodable
from jobs.states import Reason

logger = logging.getLogger(__name__)


class Undecodable(Exception):
    """What the one who tried to read it said."""


def keep(raw: bytes, queue: str, error: Exception, *, job_id: str = "") -> None:
    """File it; with the database down the spool keeps it until it can be filed. Never raises, never waits."""
    logger.error("A message in queue %s can't be read: %s", queue, error)
    filing = partial(file, raw, queue, type(error).__name__, str(error), job_id)
    using = router.db_for_write(Job)
    try:
        with impatient(using):
            filing()
    except (DatabaseError, InterfaceError, RowLocked) as down:
        logger.warning("The dead letter can't be written yet: %s", str(down).strip())
        if not spool.keep(filing):
            logger.critical("A message could be kept nowhere: %r", raw[:10_000])
    finally:
        connections[using].close()


def file(raw: bytes, queue: str, error: str, message: str, job_id: str) -> None:
    """One that names a job is a hint: the job is rung again, and dies if its own row can't be read either."""
    using = router.db_for_write(Job)
    with transaction.atomic(using=using):
        job = Job.objects.using(using).filter(id=job_id).first() if job_id else None
        if job is None:
            message_undecodable.send(sender=None, raw=raw, queue=queue, error=error, message=message, using=using)
        elif not readable(job.body):
            current_app.backend.fail_waiting([job.id], Reason.UNDECODABLE, Undecodable(f"{error}: {message}"))
