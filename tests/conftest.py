"""Before Django loads: its environment. Then the servers that tests share."""

import atexit
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.databases import Databases
from tests.support.environment import environment
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port

DATA = Path(tempfile.mkdtemp(prefix="stationmaster-tests-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)
REDIS_PORT = free_port()
SERVER = PostgresServer()
atexit.register(SERVER.remove)

#: TEST_DATABASE=postgres runs the unit tests on PostgreSQL; otherwise SQLite, a file, in WAL mode.
ON_POSTGRES = os.environ.get("TEST_DATABASE", "sqlite") == "postgres"
DATABASE_URL = SERVER.url("unit") if ON_POSTGRES else f"sqlite:///{DATA / 'unit.sqlite3'}"
os.environ.update(environment(DATA, DATABASE_URL, f"redis://127.0.0.1:{REDIS_PORT}/0"))

from django.conf import settings  # noqa: E402  (its environment is set above)

settings.DATABASES  # noqa: B018  (read now, so that pytest-django finds Django configured)
settings.STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns without it


def pytest_configure(config: pytest.Config) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end_in_order)
    config.addinivalue_line("markers", "databases(*kinds): the databases an acceptance test runs on (default: both)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Each process of a distributed run reads an environment of its own, not before its conftest has set it."""
    del os.environ["DJANGO_SETTINGS_MODULE"]


def _end_in_order(*_: object) -> NoReturn:
    """Who ends a run from outside leaves no server behind either."""
    pytest.exit("Terminated", returncode=143)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL; its data are gone after the session."""
    yield SERVER.start()
    SERVER.remove()


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Fresh migrated databases; PostgreSQL is started when the first test wants it."""
    return Databases(tmp_path_factory.mktemp("databases"), lambda: request.getfixturevalue("postgres_server"))
