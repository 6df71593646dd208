"""Reaching the database whatever a body left behind: waiting while it is down, never in somebody's transaction."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from billiard.pool import SIG_SOFT_TIMEOUT
from django.db import connections

from jobs.backoff import growing
from jobs.conf import conf
from jobs.errors import DATABASE_DOWN

logger = logging.getLogger(__name__)
T = TypeVar("T")


class DatabaseDown(Exception):
    """The database has not answered for longer than `conf().patience`."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """The soft time limit is the body's; it must not strike the settle, which may wait for the database."""
    if threading.current_thread() is not threading.main_thread() or SIG_SOFT_TIMEOUT is None:
        yield
        return
    handler = signal.signal(SIG_SOFT_TIMEOUT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(SIG_SOFT_TIMEOUT, handler)


def afresh(using: str) -> None:
    """A body may leave the connection in a transaction, or broken: then what follows it would never be committed."""
    connection = connections[using]
    if connection.connection is None or not (
        connection.in_atomic_block or not connection.autocommit or _in_transaction(connection)
    ):
        return
    logger.error("The last job left its database connection in a transaction; it is rolled back and closed")
    connection.in_atomic_block = connection.needs_rollback = False
    connection.savepoint_ids, connection.atomic_blocks, connection.run_on_commit = [], [], []
    connection.close()


def _in_transaction(connection: Any) -> bool:
    driver = connection.connection
    if connection.vendor == "postgresql":
        return bool(driver.info.transaction_status)  # 0 is idle
    return bool(getattr(driver, "in_transaction", False))


def _nothing() -> None:
    pass


def patiently(act: Callable[[], T], using: str, *, meanwhile: Callable[[], Any] = _nothing) -> T:
    """Do `act` (a whole transaction) until the database takes it; raises DatabaseDown when patience ends.

    `meanwhile` is called once, after the first try has failed.
    """
    until = time.monotonic() + conf().patience
    for wait in growing(conf().patience_first, conf().patience_step_max):
        try:
            return act()
        except DATABASE_DOWN as error:
            if connections[using].in_atomic_block:
                raise
            connections[using].close()
            meanwhile()
            meanwhile = _nothing
            if time.monotonic() + wait > until:
                raise DatabaseDown(f"The database has been down for {conf().patience:g} s: {error}") from error
            logger.warning("The database does not answer (%s); trying again in %.1f s", str(error).strip(), wait)
            time.sleep(wait)
    raise AssertionError("unreachable: the waits have no end")
