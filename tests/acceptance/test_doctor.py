"""`manage.py doctor` with real servers: what it says of a healthy station, and of broken ones."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.databases import Databases
from tests.support.postgres import PostgresServer
from tests.support.station import Station

#: Faults of a test's station that are none of the machine's: a development disk, workers without REMAP_SIGTERM.
HARMLESS = {"container.volatile", "container.disk", "database.sqlite"}


def doctor(station: Station) -> tuple[set[str], int]:
    """`error broker.evicts`, ..., and the exit code."""
    done = station.manage("doctor", "--json", check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    found = {f"{f['severity']} {f['code']}" for f in report["findings"] if f["code"] not in HARMLESS}
    errors = [each for each in report["findings"] if each["severity"] == "error"]
    assert len(errors) == report["errors"]
    assert (done.returncode == 1) is bool(errors), done.stderr
    return found, done.returncode


def faults(station: Station) -> set[str]:
    return {line for line in doctor(station)[0] if not line.startswith(("fine", "info"))}


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """PostgreSQL as the compose file starts it: the tests' own does not wait for its disk."""
    server = PostgresServer(settings="unix_socket_directories= idle_in_transaction_session_timeout=60s")
    yield Databases(tmp_path_factory.mktemp("databases"), lambda: server)
    server.remove()


@pytest.fixture
def healthy(fresh_station: Station) -> Station:
    """One worker for every queue, and a beat that leads."""
    fresh_station.env["REMAP_SIGTERM"] = "SIGQUIT"
    fresh_station.worker("emails,heavy,payments,default", concurrency=1)
    fresh_station.beat()
    fresh_station.wait(lambda: fresh_station.sql("SELECT * FROM jobs_lease"), what="a beat to lead")
    return fresh_station


def test_a_healthy_station_has_no_fault_and_each_broken_part_is_found(healthy: Station) -> None:
    assert faults(healthy) == set()
    done = healthy.manage("doctor")
    assert done.stdout.rstrip().splitlines()[-1].startswith("0 errors")

    with healthy.valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    assert faults(healthy) == {"error broker.evicts"}
    with healthy.valkey.client() as client:
        client.config_set("maxmemory-policy", "noeviction")

    healthy.manage("queues", "pause", "heavy")
    assert doctor(healthy)[0] >= {"info workers.paused"}
    assert doctor(healthy)[1] == 0


def test_a_station_without_processes_has_what_waits_in_vain(fresh_station: Station) -> None:
    assert faults(fresh_station) == {"warning workers.none", "error beat.none"}
    fresh_station.manage("enqueue", "tests.plain_tasks.add", "--args", "[1, 2]")
    assert faults(fresh_station) == {"warning workers.none", "error workers.none", "error beat.none"}


def test_what_is_away_is_an_error_and_the_rest_is_examined(fresh_station: Station) -> None:
    fresh_station.valkey.stop()
    assert {"error broker.unreachable", "fine database.fine"} <= doctor(fresh_station)[0]
    fresh_station.valkey.start()
    fresh_station.env["DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/none"
    found, code = doctor(fresh_station)
    assert {"error database.unreachable", "fine broker.fine", "info workers.unasked"} <= found
    assert code == 1


@pytest.mark.databases("sqlite")
def test_an_empty_database_has_no_migrations(fresh_station: Station) -> None:
    fresh_station.env["DATABASE_URL"] = f"sqlite:///{fresh_station.data / 'empty.sqlite3'}"
    found, code = doctor(fresh_station)
    assert {"error database.migrations", "info beat.unasked"} <= found
    assert code == 1


@pytest.mark.databases("sqlite")
def test_a_worker_on_threads_that_takes_sigterm_as_warm_is_found(fresh_station: Station) -> None:
    fresh_station.worker("default", concurrency=2, extra=["--pool", "threads"])
    found = faults(fresh_station)
    # tests.plain_tasks has tasks with limits of their own, routed to default.
    assert {"error workers.pool", "warning workers.remap_sigterm"} <= found


@pytest.mark.databases("sqlite")
def test_the_system_checks_see_what_needs_no_server(fresh_station: Station) -> None:
    fresh_station.manage("check")
    fresh_station.env["VISIBILITY_TIMEOUT"] = "100"
    done = fresh_station.manage("check", check=False)
    assert done.returncode == 1
    assert "jobs.E003" in done.stderr
    assert "error jobs.E003" in faults(fresh_station)


@pytest.mark.databases("postgres")
def test_postgresql_that_does_not_wait_for_its_disk_is_an_error(fresh_station: Station) -> None:
    fresh_station.env["DATABASE_URL"] += "?options=-c%20synchronous_commit%3Doff"
    assert "error database.synchronous_commit" in faults(fresh_station)
