"""Messages that nobody can read, and that name no job: kept as dead letters, with their bytes."""

import logging
from functools import partial

from django.db import DatabaseError, InterfaceError, connections, router, transaction

from jobs.ledger import spool
from jobs.models import Job
from jobs.signals import message_undecodable

logger = logging.getLogger(__name__)


def keep(raw: bytes, queue: str, error: Exception) -> None:
    """File it; with the database down the spool keeps it until it can be filed. Never raises, never waits."""
    logger.error("A message in queue %s can't be read (%s); it is kept as a dead letter", queue, error)
    filing = partial(file, raw, queue, type(error).__name__, str(error))
    try:
        filing()
    except (DatabaseError, InterfaceError) as down:
        logger.warning("The dead letter can't be written yet: %s", str(down).strip())
        if not spool.keep(filing):
            logger.critical("A message could be kept nowhere: %r", raw[:10_000])
    finally:
        connections[router.db_for_write(Job)].close()


def file(raw: bytes, queue: str, error: str, message: str) -> None:
    """The dead letter, in a transaction of its own."""
    using = router.db_for_write(Job)
    with transaction.atomic(using=using):
        message_undecodable.send(sender=None, raw=raw, queue=queue, error=error, message=message, using=using)
