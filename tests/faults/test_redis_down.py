"""Redis is killed, emptied or silent: callers go on, workers come back, every job runs once."""

import time

import pytest

from tests.plain_tasks import slow
from tests.support.callers import (
    BACK,
    LATER,
    SLACK,
    check_back,
    check_bounded,
    check_once,
    ids,
    posts,
    storming,
)
from tests.support.figures import tell, timed
from tests.support.hints import copies
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat."""
    station.worker("default", concurrency=4)
    station.beat()
    return station


def away(station: Station, seconds: float, row: str) -> str:
    """`kill -9` to Redis, which returns after so long; a job that was posted then, and is done in time."""
    station.valkey.kill()
    time.sleep(seconds)
    with timed(row, "back to work after Redis returned (s)"):
        station.valkey.start()
        return check_back(station)


@pytest.mark.databases("postgres", "sqlite")
def test_a_redis_that_is_killed_and_forgets_everything_loses_no_job(running: Station) -> None:
    """Row 04."""
    running.valkey.forget()
    accepted = ids(running.call(posts, 210, 0.01))
    running.wait(lambda: len(running.journal()) > 40)
    again = away(running, 2, "04")
    check_once(running, [*accepted, again])


@pytest.mark.databases("postgres")
def test_a_redis_that_is_killed_and_remembers_doubles_no_job(running: Station) -> None:
    """Row 04b."""
    running.valkey.restart(appendonly="yes")
    check_back(running)
    accepted = ids(running.call(posts, 210, 0.01))
    running.wait(lambda: f"start {accepted[20]}" in running.journal())
    again = away(running, 2, "04b")
    check_once(running, [*accepted, again])


@pytest.mark.databases("postgres")
def test_a_redis_that_is_killed_under_a_storm_of_callers_refuses_none_of_them(running: Station) -> None:
    """Row 04c."""
    with storming(running, 5) as calls:
        time.sleep(1)
        away(running, 2, "04c")
    check_bounded(calls, lasting=5)
    assert len(calls) > 20, "no storm"
    check_once(running, ids(calls), timeout=90)
    tell("04c", "longest wait of a caller (s)", max(call.seconds for call in calls))


@pytest.mark.databases("postgres", "sqlite")
def test_a_redis_that_is_flushed_loses_neither_backlog_nor_running_jobs(running: Station) -> None:
    """Row 05."""
    accepted = ids(running.call(posts, 200, 0.02))
    held = running.post(slow, 2, "during the flush")
    running.wait(lambda: f"start {accepted[20]}" in running.journal())
    running.valkey.flushall()
    later = ids(running.call(posts, 20))
    with timed("05", "220 jobs done after a FLUSHALL (s)"):
        check_once(running, [*accepted, *later])
    assert running.wait_state(held, "succeeded")["attempt"] == 1
    assert running.journal().count("start during the flush") == 1


@pytest.mark.databases("postgres")
def test_a_redis_that_is_flushed_again_and_again_stops_nothing(running: Station) -> None:
    """Row 05, five times."""
    with storming(running, 4, seconds=0.01) as calls:
        for _ in range(5):
            time.sleep(0.6)
            running.valkey.flushall()
    check_once(running, ids(calls))


@pytest.mark.databases("postgres", "sqlite")
def test_a_redis_that_refuses_connections_delays_no_caller(running: Station) -> None:
    """Row 06."""
    check_back(running)
    running.valkey.kill()
    calls = running.call(posts, 5)
    check_bounded(calls)
    tell("06", "first caller waits (s)", calls[0].seconds)
    assert {row["state"] for row in running.jobs(ids(calls))} == {"queued"}
    running.valkey.start()
    back(running, ids(calls))


@pytest.mark.databases("postgres", "sqlite")
def test_a_silent_redis_delays_one_caller_and_no_other(running: Station) -> None:
    """Row 06b."""
    check_back(running)
    running.valkey.pause()
    calls = running.call(posts, 6)
    check_bounded(calls)
    tell("06b", "first caller waits (s)", calls[0].seconds)
    tell("06b", "the longest wait behind it (s)", max(call.seconds for call in calls[1:]))
    running.valkey.resume()
    back(running, ids(calls))


@pytest.mark.databases("postgres")
def test_a_process_that_starts_while_redis_is_away_can_post(running: Station) -> None:
    """Row 06, from a process that has never reached Redis."""
    running.valkey.kill()
    console = running.console()
    calls = console.call(posts, 2)
    console.stop()
    assert calls[1].seconds <= LATER
    running.valkey.start()
    back(running, ids(calls))


@pytest.mark.databases("postgres")
def test_a_worker_that_starts_while_redis_is_away_works_when_it_returns(running: Station) -> None:
    """Row 06, from the worker's side."""
    running.valkey.kill()
    calls = running.call(posts, 3, queue="heavy")
    worker = running.worker("heavy", concurrency=1)
    running.valkey.start()
    back(running, ids(calls))
    assert worker.running


@pytest.mark.databases("postgres")
def test_a_ring_whose_answer_never_came_may_come_twice_and_the_job_runs_once(running: Station) -> None:
    """Row 06c: the message was written to a silent Redis, and is published again."""
    running.call(posts, 1)  # its connection is open from now on
    running.valkey.pause()
    [call] = running.call(posts, 1, queue="emails")
    check_bounded([call])
    running.valkey.resume()
    running.wait(lambda: copies(running, call.id, "emails") >= 2, timeout=BACK, what="two copies of one job's hint")
    running.worker("emails", concurrency=2)
    check_once(running, [call.id])
    running.wait(lambda: not copies(running, call.id, "emails"), what="the second copy to be dropped")
    check_once(running, [call.id])


@pytest.mark.databases("postgres")
def test_a_job_that_ends_while_redis_is_away_keeps_its_result(running: Station) -> None:
    """Row 04, from the running job's side: its settle needs no Redis."""
    id = running.post(slow, 1.5, "during the outage")
    running.wait_state(id, "running")
    running.valkey.kill()
    assert running.wait_state(id, "succeeded", timeout=10)["attempt"] == 1
    running.valkey.start()
    check_back(running)
    assert running.journal().count("start during the outage") == 1


def back(station: Station, waiting: list[str]) -> None:
    """Redis has just returned: what waits is run by the workers that lost it, within the bound."""
    check_once(station, waiting, timeout=BACK + SLACK)
