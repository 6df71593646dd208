"""Redis is full: one that evicts is refused at the start, one that refuses loses nothing."""

import pytest
from redis import ResponseError

from tests.support.callers import check_back, check_bounded, check_once, ids, posts
from tests.support.hints import connect, hints
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: A payload that fills the memory fast, without a warning about its size.
BULK = {"headers": {"ballast": "x" * 30_000}}


def crammed(station: Station) -> int:
    """Fill what is left of the memory with somebody else's keys, the last byte too; how many keys."""
    made = 0
    with connect(station) as client:
        for size in (4096, 128, 1):
            try:
                while True:
                    client.set(f"ballast:{made}", b"x" * size)
                    made += 1
            except ResponseError:
                pass
    return made


def test_a_worker_refuses_a_redis_that_evicts_queues(fresh_station: Station) -> None:
    """Row 05b: with the sentence that says what to set."""
    fresh_station.valkey.restart(maxmemory="64mb", maxmemory_policy="allkeys-lru")
    for command in (["worker", "-Q", "default", "-c", "1"], ["beat"]):
        process = fresh_station.celery(command[0], *command)
        assert process.popen.wait(60) == 1, process.output()
        assert "maxmemory-policy noeviction" in process.output()
        assert "Traceback" not in process.output()


def test_whole_queues_that_are_evicted_are_rung_again(fresh_station: Station) -> None:
    """Row 05b, with JOBS_ALLOW_UNSAFE_BROKER=1: an alarm, and nothing is lost although lists are evicted."""
    station = fresh_station
    station.env["JOBS_ALLOW_UNSAFE_BROKER"] = "1"
    station.valkey.restart(maxmemory="64mb", maxmemory_policy="allkeys-lru")
    worker, beat = station.worker("default", concurrency=2), station.beat()
    waiting = ids(station.call(posts, 60, 0, queue="emails", **BULK))
    station.wait(lambda: len(hints(station, "emails")) == 60)
    station.valkey.fill()
    crammed_until_gone(station, "emails")
    accepted = ids(station.call(posts, 200, 0, **BULK))
    with connect(station) as client:
        assert int(client.info("stats")["evicted_keys"]) > 0
        client.config_set("maxmemory", "64mb")
    station.worker("emails", concurrency=2)
    check_once(station, [*waiting, *accepted])
    for process in (worker, beat):
        assert process.running
        assert "JOBS_ALLOW_UNSAFE_BROKER" in process.output()


def crammed_until_gone(station: Station, queue: str) -> None:
    """Other keys are wanted more: the queue is thrown away, as a whole."""
    with connect(station) as client:
        for n in range(100_000):
            client.set(f"ballast:{n}", b"x" * 4096)
            if n % 50 == 0 and not hints(station, queue):
                return
    raise AssertionError("nothing was evicted")


def test_a_full_redis_delays_no_caller_and_a_worker_can_start_on_it(fresh_station: Station) -> None:
    """Row 05c: every job is accepted, and what could be rung is drained, which makes room for the rest."""
    station = fresh_station
    station.beat()
    station.valkey.fill(room=6_000_000)
    calls = station.call(posts, 200, 0, **BULK)
    check_bounded(calls, lasting=60)
    assert {row["state"] for row in station.jobs(ids(calls))} == {"queued"}
    rung = len(hints(station))
    assert 0 < rung < 200, "Redis was not full"
    worker = station.worker("default", concurrency=2)
    check_once(station, ids(calls))
    assert worker.running


def test_a_redis_that_others_have_filled_stops_work_only_until_there_is_room(fresh_station: Station) -> None:
    """Row 05c: not a byte left; a worker starts, and works as soon as it can be told of work."""
    station = fresh_station
    station.beat()
    before = station.call(posts, 3)
    station.valkey.fill()
    crammed(station)
    calls = [*before, *station.call(posts, 5)]
    check_bounded(calls, lasting=5)
    worker = station.worker("default", concurrency=2)
    check_once(station, ids(before))
    with connect(station) as client:
        client.config_set("maxmemory", 0)
    check_once(station, ids(calls))
    check_back(station)
    assert worker.running
