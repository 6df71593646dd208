"""Jobs that wait or run longer than Redis' visibility timeout: there is nothing to become visible again."""

import sys
import time
from typing import Any

import pytest

from tests.plain_tasks import flaky
from tests.support.callers import check_once, ids, posts
from tests.support.hints import connect
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    """A visibility timeout of one second."""
    return {"DJANGO_SETTINGS_MODULE": "tests.support.short_visibility", "JOBS_ALLOW_UNSAFE_BROKER": "1"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with two workers and beat."""
    station.beat()
    for _ in range(2):
        station.worker("default", concurrency=2)
    return station


def test_a_short_visibility_timeout_is_refused(station: Station) -> None:
    """Row 08: with the sentence that says what to set."""
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "default", "-c", "1"]
    process = station.start("refused", command, env={"JOBS_ALLOW_UNSAFE_BROKER": "0"})
    assert process.popen.wait(60) == 1, process.output()
    assert "VISIBILITY_TIMEOUT" in process.output()


def test_a_delayed_job_runs_once_however_many_workers_and_sweeps_there_are(running: Station) -> None:
    """Row 07: no message waits for a time; the time is in the table."""
    calls = ids(running.call(posts, 5, 0, countdown=6))
    time.sleep(2)
    for id in calls:
        assert not mentions(running, id), "a message of a job that is not due"
        assert running.job(id)["state"] == "scheduled"
    for row in check_once(running, calls):
        assert row["started_at"] >= row["run_at"]


def test_a_job_that_outlives_the_visibility_timeout_starts_once(running: Station) -> None:
    """Row 08."""
    check_once(running, ids(running.call(posts, 3, 4.0)))


def test_a_delayed_job_needs_no_worker_to_remember_it(running: Station) -> None:
    """Row 08b: the workers that were up when it was posted are killed before it is due."""
    first = running.worker("heavy", concurrency=2)
    calls = ids(running.call(posts, 10, 0, countdown=3, queue="heavy"))
    time.sleep(0.5)
    first.kill()
    running.worker("heavy", concurrency=2)
    for row in check_once(running, calls):
        assert (row["finished_at"] - row["run_at"]).total_seconds() < 20


def test_a_retry_waits_in_the_table(running: Station) -> None:
    """Row 07, for the countdown of a retry."""
    id = running.post(flaky, "waits", 1, 3)
    running.wait_state(id, "retrying")
    assert not mentions(running, id), "a message of a job that is not due"
    assert running.wait_state(id, "succeeded")["attempt"] == 2
    assert running.journal().count("waits") == 2


def mentions(station: Station, text: str) -> list[bytes]:
    """The keys of Redis whose value has this text, whatever they are."""
    with connect(station) as client:
        return [key for key in client.scan_iter(count=1000) if text in repr(value(client, key))]


def value(client: Any, key: bytes) -> Any:
    """All that a key holds."""
    kind = client.type(key)
    if kind == b"list":
        return client.lrange(key, 0, -1)
    if kind == b"zset":
        return client.zrange(key, 0, -1)
    return client.hgetall(key) if kind == b"hash" else None
