"""Hints that get lost while Redis lives: halves of long queues, single lists, everything; and none that is doubled."""

import json
import time
from collections import Counter

import pytest

from jobs.broker import EPOCH
from tests.support.callers import bulk, check_once, ids, posts
from tests.support.hints import canaries, connect, hints, lists
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: Seconds in which everything is rung again that Redis forgot (half a second, here at a tenth), with slack.
AT_ONCE = 15


@pytest.fixture
def running(fresh_station: Station) -> Station:
    """A station with beat, which has left its mark in Redis; each test starts the workers it wants."""
    fresh_station.beat()
    with connect(fresh_station) as client:
        fresh_station.wait(lambda: client.get(EPOCH), what="the clock's mark")
    return fresh_station


def waiting(station: Station, queue: str = "heavy") -> tuple[int, int]:
    """(hints, canaries) in Redis."""
    return len(hints(station, queue)), canaries(station, queue)


def test_half_of_a_long_queue_that_never_gets_empty_runs_all_the_same(running: Station) -> None:
    """Only the oldest half is lost: all the while others come in behind, and are worked on."""
    lost = running.call(bulk, 150, queue="heavy")
    with connect(running) as client:
        [key] = lists(running, "heavy")
        client.delete(key)
        others = running.call(bulk, 150, queue="heavy")
        running.worker("heavy", concurrency=1)
        marks, pending = ", ".join(["%s"] * len(lost)), 1
        deadline = time.monotonic() + 60
        while pending and time.monotonic() < deadline:
            if client.llen(key) < 40:
                others += running.call(bulk, 40, queue="heavy")
            query = f"SELECT count(*) AS n FROM jobs_job WHERE state = 'queued' AND id IN ({marks})"
            pending = running.sql(query, *lost)[0]["n"]
    assert not pending, f"{pending} jobs are still lost"
    check_once(running, [*lost, *others])


def test_single_hints_lost_in_the_middle_of_a_queue_are_rung_again(running: Station) -> None:
    calls = ids(running.call(posts, 120, 0.02, queue="heavy"))
    with connect(running) as client:
        [(key, found)] = lists(running, "heavy").items()
        for message in found[1::2]:
            client.lrem(key, 1, message)
    running.worker("heavy", concurrency=2)
    check_once(running, calls)


def test_a_backlog_that_redis_forgot_is_rung_at_once_and_once(running: Station) -> None:
    accepted = running.call(bulk, 1500, queue="heavy") + running.call(bulk, 20, queue="heavy", priority=9)
    running.valkey.flushall()
    running.wait(lambda: waiting(running)[0] >= len(accepted), AT_ONCE, "the backlog to be rung again")
    time.sleep(2)  # many turns
    rung = Counter(json.loads(message)["headers"]["id"] for message in hints(running, "heavy"))
    assert set(rung) == set(accepted)
    # A ring whose answer comes too late is done again.
    assert rung == Counter(accepted) or "can't be rung" in running.processes[0].output()


def test_a_backlog_that_redis_forgot_runs(running: Station) -> None:
    accepted = running.call(bulk, 200, queue="heavy")
    running.worker("heavy", concurrency=2)
    running.valkey.flushall()
    check_once(running, accepted)


@pytest.mark.parametrize("queue", ["default", "heavy"])
def test_a_list_that_was_evicted_is_rung_again_whatever_else_waits(queue: str, running: Station) -> None:
    accepted = {name: running.call(bulk, 30, queue=name) for name in ("default", "heavy")}
    with connect(running) as client:
        [key] = lists(running, queue)
        assert client.delete(key) == 1
    running.wait(lambda: waiting(running, queue)[0] >= 30, AT_ONCE, "the evicted list")
    running.worker("default,heavy")
    check_once(running, accepted["default"] + accepted["heavy"])


def test_a_long_healthy_backlog_is_not_doubled(running: Station) -> None:
    """2,000 jobs behind one slow worker, for twelve seconds: two minutes at the shipped values."""
    running.call(posts, 60, 0.5, queue="heavy")
    running.call(bulk, 2000, queue="heavy")
    running.worker("heavy", concurrency=1)
    for _ in range(12):
        time.sleep(1)
        left = running.sql("SELECT count(*) AS n FROM jobs_job WHERE state = 'queued'")[0]["n"]
        found, probes = waiting(running)
        assert found <= left, f"{found} hints of {left} jobs"
        assert probes <= 1
    assert 1000 < left < 2060, "the worker was not slow, or did nothing"


def test_a_queue_that_nobody_reads_holds_one_canary(running: Station) -> None:
    running.call(bulk, 5, queue="heavy")
    running.wait(lambda: waiting(running) == (5, 1), what="the canary")
    time.sleep(3)
    assert waiting(running) == (5, 1)
