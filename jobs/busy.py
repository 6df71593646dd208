"""SQLite: who waited too long for another writer is told so, and what to do."""

from collections.abc import Callable
from typing import Any

from django.db import OperationalError


class DatabaseBusy(OperationalError):
    """Another process has held the write lock for longer than we wait."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(seconds)

    def __str__(self) -> str:
        return (
            f"Another process has been writing to the database for more than {self.seconds:g} s. Try again; with "
            "PostgreSQL (DATABASE_URL) writers don't wait for one another."
        )


def tell_of_locks(*, connection: Any, **_: Any) -> None:
    """A receiver of `connection_created`: raise DatabaseBusy where SQLite says that it is locked."""
    if connection.vendor == "sqlite" and _telling not in connection.execute_wrappers:
        connection.execute_wrappers.append(_telling)


def _telling(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        if "locked" not in str(error):
            raise
        raise DatabaseBusy(context["connection"].settings_dict["OPTIONS"].get("timeout", 5)) from None
