"""Reading a station's tables from the test's process, past Django."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]


def rows(url: str, query: str, params: Sequence[Any] = ()) -> list[Row]:
    """The rows of one SQL statement; parameters are marked by `%s` on both databases. It commits."""
    return _sqlite(url, query, params) if url.startswith("sqlite") else _postgres(url, query, params)


def _sqlite(url: str, query: str, params: Sequence[Any]) -> list[Row]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query.replace("%s", "?"), params)]
    finally:
        connection.close()


def _postgres(url: str, query: str, params: Sequence[Any]) -> list[Row]:
    with psycopg.connect(url, autocommit=True, connect_timeout=5, row_factory=dict_row) as connection:
        cursor = connection.execute(query, params)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []
