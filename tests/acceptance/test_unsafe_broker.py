"""A broker that can lose hints: worker and beat refuse to start, or start with an alarm when they are allowed to."""

import json
import sys
from typing import Any

import pytest

from tests.support.processes import Process
from tests.support.station import Station

pytestmark = pytest.mark.databases("sqlite")
ALLOWED = {"JOBS_ALLOW_UNSAFE_BROKER": "1"}
WORKER = ["worker", "-Q", "default", "-c", "1", "-n", "unsafe@%h"]
COMMANDS = {"worker": WORKER, "beat": ["beat"]}


@pytest.fixture(params=COMMANDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(station: Station, kind: str, **env: str) -> Process:
    process = station.start(kind, [sys.executable, "-m", "celery", "-A", "config", *COMMANDS[kind]], env)
    process.grace = 0
    return process


def evict(station: Station) -> None:
    station.valkey.restart(maxmemory_policy="allkeys-lru")


def lines(process: Process, level: str) -> list[dict[str, Any]]:
    """What it logged at this level."""
    logged = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
    return [line for line in logged if line["level"] == level]


def refused(process: Process, sentence: str) -> None:
    """It ends by itself, with one line and no traceback."""
    assert process.popen.wait(60) == 1, process.output()
    [line] = lines(process, "CRITICAL")
    assert sentence in line["message"]
    assert "exc_info" not in line
    assert "Traceback" not in process.output()


def test_an_evicting_redis_is_refused(fresh_station: Station, kind: str) -> None:
    evict(fresh_station)
    refused(start(fresh_station, kind), "Set maxmemory-policy noeviction")


def test_a_short_visibility_timeout_is_refused(fresh_station: Station, kind: str) -> None:
    refused(start(fresh_station, kind, VISIBILITY_TIMEOUT="100"), "Set VISIBILITY_TIMEOUT=306 or more")


def test_an_evicting_redis_that_comes_later_is_refused_when_it_comes(fresh_station: Station, kind: str) -> None:
    fresh_station.valkey.stop()
    process = start(fresh_station, kind)
    fresh_station.wait(lambda: fresh_station.manage("alive", kind, check=False).returncode == 0, 60, "a sign of life")
    assert process.running, process.output()
    evict(fresh_station)
    refused(process, "Set maxmemory-policy noeviction")


def test_allowed_the_worker_works_and_both_say_so_as_an_error(fresh_station: Station) -> None:
    evict(fresh_station)
    processes = [start(fresh_station, kind, VISIBILITY_TIMEOUT="100", **ALLOWED) for kind in COMMANDS]
    fresh_station.manage("enqueue", "tests.plain_tasks.add", "--args", "[1, 2]", "--wait")
    for process in processes:
        fresh_station.wait(lambda process=process: len(lines(process, "ERROR")) >= 2, what="the alarms")
        said = " ".join(line["message"] for line in lines(process, "ERROR"))
        assert "allkeys-lru" in said
        assert "visibility timeout is 100 s" in said
        assert process.running
