"""The database's clock in raw SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone


def moment(using: str, seconds: float = 0) -> tuple[str, list[Any]]:
    """(SQL, params) of now + seconds.

    PostgreSQL's clock_timestamp() moves within a transaction. SQLite lives on this host, so its clock is the host's,
    which has microseconds where SQLite's own functions have milliseconds.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        return "(clock_timestamp() + %s * interval '1 second')", [seconds]
    return "%s", [adapted(connection, timezone.now() + timedelta(seconds=seconds))]


def moments_by(column: str, seconds: Sequence[float], using: str) -> tuple[str, list[Any]]:
    """(SQL, what `column` holds in each row) of now + seconds in the rows of one statement."""
    return moment(using)[0].replace("%s", column), [moment(using, each)[1][0] for each in seconds]


def now(using: str) -> datetime:
    """The database's time, for comparing with what it stored."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        told: datetime = cursor.fetchone()[0]
        return told.astimezone(UTC)


def adapted(connection: BaseDatabaseWrapper, value: datetime | None) -> Any:
    """A time as the database driver takes it."""
    return value if value is None else connection.ops.adapt_datetimefield_value(value)
