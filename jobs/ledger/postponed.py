"""Settles in the worker's parent: its event loop must not wait for the database, so its heartbeat thread does."""

import logging
from collections import deque
from collections.abc import Callable

from django.db import connections, router

from jobs.errors import DATABASE_DOWN
from jobs.ledger import current, spool
from jobs.ledger.current import Claim
from jobs.ledger.errbacks import aside
from jobs.ledger.locks import RowLocked, impatient
from jobs.models import Job

logger = logging.getLogger(__name__)

#: Settles that the parent could not do at once: its heartbeat thread tries them again.
postponed: deque[tuple[Claim, Callable[[], bool]]] = deque()


def write_or_postpone(held: Claim, once: Callable[[], bool]) -> bool:
    """Do it now, or let the heartbeat do it; False for a late writer."""
    if spool.holds(held.token):
        # The body had ended, and its child waited for the database: that outcome stands.
        return True
    try:
        with impatient(held.using):
            return once()
    except RowLocked as error:
        _postpone(held, once, error)
    except DATABASE_DOWN as error:
        _postpone(held, held.if_down or once, error)
    except Exception:  # the body is to be stopped all the same, and its message acknowledged
        logger.exception("The end of job %s can't be written; its lease ends it", held.id)
    finally:
        # The parent forks; no connection may cross that.
        connections[held.using].close()
    return True


def _postpone(held: Claim, once: Callable[[], bool], error: Exception) -> None:
    logger.warning("The end of job %s can't be written yet: %s", held.id, error)
    postponed.append((held, once))
    held.afterwards.clear()


def write_postponed() -> int:
    """Write what had to wait, as far as the database answers; what can't be written at all is logged and let go.

    How many outcomes were told from the spool, or wait for somebody's lock: there may be more to do soon.
    """
    with impatient(router.db_for_write(Job)):
        try:
            return spool.tell_all((*DATABASE_DOWN, RowLocked))
        except RowLocked as error:
            logger.warning("An outcome waits in the spool: %s", error)
            return 1
        finally:
            for _ in range(len(postponed)):
                _try_again(*postponed.popleft())


def _try_again(held: Claim, once: Callable[[], bool]) -> None:
    if spool.holds(held.token):
        return  # the body had ended after all: that outcome stands
    held.settling = True
    try:
        with current.active(held), current.continuing():
            done = once()
    except (*DATABASE_DOWN, RowLocked):
        postponed.append((held, once))
    except Exception:
        logger.exception("The end of job %s can't be written; its lease ends it", held.id)
    else:
        if done:
            aside(held.afterwards)
    finally:
        held.settling = False
