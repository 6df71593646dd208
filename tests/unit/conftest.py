"""Unit tests run in this process: on SQLite (a file, WAL), or with TEST_DATABASE=postgres on PostgreSQL."""

from collections.abc import Iterator

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
    else:
        connections["default"].settings_dict["TEST"]["NAME"] = str(DATA / "test.sqlite3")


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
