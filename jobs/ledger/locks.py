"""Who must not stand still (the clock, a worker's parent, its heartbeat) waits for nobody's lock: a worker that froze,
or was cut off, in the middle of a transaction keeps its locks until PostgreSQL notices, which may take hours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connections, transaction
from psycopg.errors import LockNotAvailable

from jobs.conf import conf
from jobs.errors import DATABASE_DOWN, JobError

#: Statements that change nothing, and the one that is put before the others.
HARMLESS = ("SELECT", "SET LOCAL")


class RowLocked(JobError):
    """What was to be written is in somebody's hands. Not an outage: nothing is gone."""

    def __init__(self) -> None:
        super().__init__(
            f"A row has been locked for {conf().lock_patience:g} s by an open transaction; it is tried again. "
            "If it stays so, see pg_stat_activity for sessions that are 'idle in transaction'."
        )


@contextmanager
def impatient(using: str) -> Iterator[None]:
    """Within it, a statement that has to wait for a lock raises RowLocked. (A waiting SQLite ends by itself.)"""
    if connections[using].vendor != "postgresql":
        yield
        return
    with connections[using].execute_wrapper(_limited):
        yield


def is_gone(error: Exception, using: str) -> bool:
    """Whether it is the database that is gone: a deadlock or a statement that was refused is no outage."""
    connection = connections[using]
    return isinstance(error, DATABASE_DOWN) and (connection.vendor == "sqlite" or not connection.is_usable())


def _limited(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    if sql.startswith(HARMLESS) and "FOR UPDATE" not in sql:
        return execute(sql, params, many, context)
    # For this transaction only: through PgBouncer the session is somebody else's in a moment.
    alias = context["connection"].alias
    try:
        with transaction.atomic(using=alias, savepoint=False):
            with connections[alias].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {int(conf().lock_patience * 1000)}")
            return execute(sql, params, many, context)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise RowLocked from error
        raise
