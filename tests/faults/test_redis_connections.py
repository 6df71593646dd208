"""Connections to Redis break, or fall silent while they stay open: workers come back, nothing runs twice."""

import time
from collections.abc import Iterator

import pytest

from tests.support.accounts import balance
from tests.support.breaking import all_began
from tests.support.callers import BACK, SLACK, check_back, check_bounded, check_once, ids, posts, storming
from tests.support.figures import timed
from tests.support.network import Network, network
from tests.support.station import Station
from tests.support.variants import CANCELLING, variables

pytestmark = pytest.mark.databases("postgres")


@pytest.fixture(scope="module")
def way(station: Station) -> Iterator[Network]:
    """What lies between the station's processes and its Redis."""
    with network(station.valkey.port) as made:
        station.env["REDIS_URL"] = made.url
        yield made


@pytest.fixture(scope="module")
def running(station: Station, way: Network) -> Station:
    """A station with one worker and beat, whose every connection to Redis goes through `way`."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def test_a_cut_connection_ends_no_running_job_and_starts_none_twice(running: Station) -> None:
    """Row 18: what was in progress goes on, and is not handed out again."""
    accepted = ids(running.call(posts, 2, 3.0))
    for id in accepted:
        running.wait_state(id, "running")
    assert running.valkey.cut() > 0
    with timed("18", "back to work (s)"):
        again = check_back(running)
    check_once(running, [*accepted, again])


def test_jobs_that_a_worker_interrupts_over_a_cut_connection_run_again_and_count_no_attempt(running: Station) -> None:
    """Row 18b: `worker_cancel_long_running_tasks_on_connection_loss`; plain Celery trades a duplicate for it."""
    with variables(running, DJANGO_SETTINGS_MODULE=CANCELLING):
        running.worker("heavy", concurrency=2)
    accepted = ids(running.call(posts, 2, 3.0, queue="heavy"))
    all_began(running, accepted)
    assert running.valkey.cut() > 0
    rows = balance(running, accepted, given_back=1)
    assert [(row["state"], row["attempt"], row["crashes"]) for row in rows] == [("succeeded", 1, 0)] * 2
    assert [running.journal().count(f"start {id}") for id in accepted] == [2, 2]
    assert [running.journal().count(f"end {id}") for id in accepted] == [1, 1]


def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(running: Station) -> None:
    """Row 18, under load."""
    with storming(running, 6, seconds=0.05, pause=0.02) as calls:
        for _ in range(4):
            time.sleep(1.2)
            running.valkey.cut()
    check_bounded(calls, lasting=6)
    check_once(running, ids(calls))


def test_a_worker_notices_that_its_open_connection_is_dead(running: Station, way: Network) -> None:
    """Half-open: nobody closed it, nobody answers on it; new connections work."""
    check_back(running)
    way.blackhole()
    calls = running.call(posts, 4)
    check_bounded(calls)
    with timed("18 half-open", "back to work (s)"):
        check_once(running, ids(calls), timeout=BACK + SLACK)


def test_a_job_outlives_the_dead_connection_that_it_came_by(running: Station, way: Network) -> None:
    """Half-open, while jobs run: each runs once, and is settled."""
    accepted = ids(running.call(posts, 2, 2.0))
    for id in accepted:
        running.wait_state(id, "running")
    way.blackhole()
    check_once(running, accepted)
    check_back(running)


def test_a_redis_that_accepts_and_never_answers_delays_one_caller(running: Station, way: Network) -> None:
    """Row 06b, for connections that are opened anew: accepted, and never answered."""
    check_back(running)
    way.silence()
    way.blackhole()
    calls = running.call(posts, 4)
    console = running.console()
    calls += console.call(posts, 2)
    console.stop()
    check_bounded(calls[:4])
    check_bounded(calls[4:])
    time.sleep(4)
    way.mend()
    check_once(running, ids(calls), timeout=BACK + SLACK)
    check_back(running)
