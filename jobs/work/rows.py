"""Rows from outside: JSON lists of objects, each with an id."""

import json
from typing import Any

from jobs.errors import TaskFailure

#: Where a list may stand in an object that wraps it.
WRAPPERS = ("items", "results", "data", "rows", "contacts")
ID_LENGTH = 255


class RowsRefused(TaskFailure):
    """A body that is not a list of rows."""

    def __init__(self, source: str, why: str) -> None:
        self.source, self.why = source, why
        super().__init__(source, why)

    def __str__(self) -> str:
        return f"{self.source} {self.why}"


def parsed(source: str, body: bytes) -> list[dict[str, Any]]:
    """The rows of a JSON body: a list of objects, or an object that holds one under a usual name."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise RowsRefused(source, f"does not answer JSON: {error}") from error
    rows = _unwrapped(value)
    if rows is None or not all(isinstance(row, dict) for row in rows):
        raise RowsRefused(source, "does not answer a JSON list of objects.")
    return rows


def by_id(source: str, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows by their id, the last one winning; RowsRefused if a row has none."""
    return {_id(source, number, row): row for number, row in enumerate(rows, start=1)}


def text(row: dict[str, Any], name: str, length: int = 255) -> str:
    """A field as text that a text column takes: cut to length, without NUL."""
    value = row.get(name)
    return "" if value is None else str(value).replace("\0", "")[:length]


def _unwrapped(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        value = next((value[name] for name in WRAPPERS if isinstance(value.get(name), list)), None)
    return value if isinstance(value, list) else None


def _id(source: str, number: int, row: dict[str, Any]) -> str:
    given = row.get("id")
    key = "" if given is None or isinstance(given, (dict, list, bool)) else str(given).replace("\0", "")
    if not key or len(key) > ID_LENGTH:
        raise RowsRefused(source, f"answers row {number} without a usable id.")
    return key
