"""Redis is down or silent: callers go on, nothing is lost."""

import time

import pytest

from tests.plain_tasks import add, note, slow
from tests.support.station import Station

#: Seconds a caller may wait for its id the first time (0.5 to connect, 1 for an answer), and after that.
FIRST, LATER = 1.5, 0.3


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def timed_posts(n: int) -> list[tuple[str, float]]:
    """The id and the seconds of each of `n` calls."""
    return [timed_post(i) for i in range(n)]


def timed_post(n: int) -> tuple[str, float]:
    before = time.monotonic()
    id = add.delay(n, n).id
    return id, time.monotonic() - before


def check_outage(station: Station) -> list[str]:
    """Post five jobs while Redis is away; their ids."""
    posted = station.call(timed_posts, 5)
    seconds = [each for _, each in posted]
    assert seconds[0] <= FIRST, seconds
    assert max(seconds[1:]) <= LATER, seconds
    ids = [id for id, _ in posted]
    assert {row["state"] for row in station.jobs(ids)} == {"queued"}
    return ids


def test_a_dead_redis_delays_no_caller_and_loses_no_job(running: Station) -> None:
    running.get(running.post(add, 1, 1))
    running.valkey.stop()
    ids = check_outage(running)
    running.valkey.start()
    running.wait_ended(ids, timeout=45)
    assert [running.value(id) for id in ids] == [0, 2, 4, 6, 8]


def test_a_silent_redis_delays_no_caller_and_loses_no_job(running: Station) -> None:
    running.get(running.post(add, 1, 1), 45)
    running.valkey.pause()
    ids = check_outage(running)
    running.valkey.resume()
    running.wait_ended(ids, timeout=45)
    assert [running.value(id) for id in ids] == [0, 2, 4, 6, 8]


def test_a_process_that_starts_during_the_outage_can_post(running: Station) -> None:
    running.valkey.stop()
    console = running.console()
    [(id, _), (_, second)] = console.call(timed_posts, 2)
    console.stop()
    assert second <= LATER
    running.valkey.start()
    running.wait_state(id, "succeeded", timeout=45)


def test_a_job_that_ends_during_the_outage_keeps_its_result(running: Station) -> None:
    id = running.post(slow, 1.5, "during the outage")
    running.wait_state(id, "running", timeout=45)
    running.valkey.stop()
    running.wait_state(id, "succeeded", timeout=10)
    running.valkey.start()
    running.wait_state(running.post(note, "after the outage"), "succeeded", timeout=45)
    assert running.journal().count("start during the outage") == 1


def test_an_empty_redis_after_a_restart_loses_nothing(running: Station) -> None:
    ids = [running.post(slow, 0.2, f"empty {n}") for n in range(10)]
    running.valkey.flushall()
    running.valkey.restart()
    running.wait_ended(ids, timeout=45)
    assert {row["state"] for row in running.jobs(ids)} == {"succeeded"}
    started = sorted(line for line in running.journal() if line.startswith("start empty"))
    assert started == [f"start empty {n}" for n in range(10)]
