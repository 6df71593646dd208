"""Tests with real processes get a station, once on SQLite and once on PostgreSQL unless they are marked otherwise."""

from collections.abc import Generator, Iterator

import pytest

from tests.support.databases import Databases
from tests.support.station import Station
from tests.support.valkey import ValkeyServer

__all__ = (
    "_tidy",
    "database_kind",
    "fresh_station",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "station",
    "station_environment",
    "valkey",
)
KINDS = ("sqlite", "postgres")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("database_kind", marker.args if marker else KINDS, indirect=True, scope="module")


@pytest.fixture(scope="module")
def database_kind(request: pytest.FixtureRequest) -> str:
    """ "sqlite" or "postgres"."""
    return str(request.param)


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    """More variables for the station; a test module overrides it."""
    return {}


@pytest.fixture(scope="module")
def station(database_kind: str, databases: Databases, station_environment: dict[str, str]) -> Iterator[Station]:
    """One station for the tests of a module. What a test starts ends with it; what a module fixture starts stays."""
    made = Station(database_kind, databases, station_environment)
    yield made
    made.remove()


@pytest.fixture
def fresh_station(database_kind: str, databases: Databases, station_environment: dict[str, str]) -> Iterator[Station]:
    """A station of the test's own, to break things in."""
    made = Station(database_kind, databases, station_environment)
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: its processes are gone, the servers of its station answer."""
    if "station" not in request.fixturenames:
        yield
        return
    station: Station = request.getfixturevalue("station")
    before = list(station.processes)
    yield
    station.mend()
    station.end([process for process in station.processes if process not in before])


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey of the test's own."""
    server = ValkeyServer().start()
    yield server
    server.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the processes of the stations wrote."""
    report = yield
    if report.failed:
        for name, log in (entry for station in Station.alive for entry in station.logs().items()):
            report.sections.append((f"log of {name}", log))
    return report
