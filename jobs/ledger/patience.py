"""Waiting for a database that is down: with growing steps, never inside somebody's open transaction."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections

from jobs.backoff import growing
from jobs.conf import conf

logger = logging.getLogger(__name__)
T = TypeVar("T")

DOWN = (OperationalError, InterfaceError)


class DatabaseDown(Exception):
    """The database has not answered for longer than `conf().patience`."""


def patiently(act: Callable[[], T], using: str) -> T:
    """Do `act` (a whole transaction) until the database takes it; raises DatabaseDown when patience ends."""
    until = time.monotonic() + conf().patience
    for wait in growing(conf().patience_first, conf().patience_step_max):
        try:
            return act()
        except DOWN as error:
            if connections[using].in_atomic_block:
                raise
            connections[using].close()
            if time.monotonic() + wait > until:
                raise DatabaseDown(f"The database has been down for {conf().patience:g} s: {error}") from error
            logger.warning("The database does not answer (%s); trying again in %.1f s", str(error).strip(), wait)
            time.sleep(wait)
    raise AssertionError("unreachable: the waits have no end")
