"""Unit tests run in this process: on SQLite (a file, WAL), or with TEST_DATABASE=postgres on PostgreSQL."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connections

from jobs import broker
from tests.conftest import DATA, ON_POSTGRES, REDIS_PORT
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """The test database is real: a server's, or a file that several connections can open."""
    if ON_POSTGRES:
        request.getfixturevalue("postgres_server")
        connections["default"].ops.sql_flush = _delete_all  # type: ignore[method-assign]
    else:
        connections["default"].settings_dict["TEST"]["NAME"] = str(DATA / "test.sqlite3")


def _delete_all(style: Any, tables: Sequence[str], **options: Any) -> list[str]:
    """Empty tables as they are after a test: with few rows or none, TRUNCATE takes a hundred times as long."""
    deletes = "; ".join(f'DELETE FROM "{table}"' for table in tables)
    return [f"SET LOCAL session_replication_role = replica; {deletes}"] if tables else []


@pytest.fixture(scope="session")
def _bell() -> Iterator[ValkeyServer]:
    server = ValkeyServer(port=REDIS_PORT).start()
    yield server
    server.remove()


@pytest.fixture(autouse=True)
def bell(_bell: ValkeyServer) -> Iterator[ValkeyServer]:
    """The Valkey that REDIS_URL names, running and empty. A test may stop or pause it; it is mended afterwards."""
    _bell.start()
    _bell.flushall()
    broker.breaker.closed_again = 0
    yield _bell
    _bell.resume()


@pytest.fixture
def valkey_url(bell: ValkeyServer) -> str:
    return bell.url
