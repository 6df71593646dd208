"""Redis or the database is away at the tick: no tick is lost, none is doubled."""

import time
from datetime import timedelta

import pytest

from tests.support.outages import away, cut_once, locked, stopped
from tests.support.scheduling import (
    ALL,
    Wish,
    check_gapless,
    check_once_each,
    install,
    now,
    set_up,
    stands,
    ticked,
    ticks_of,
)
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker and two beats."""
    set_up(station, Wish("all", every=1, policy=ALL), Wish("once", every=1))
    station.worker("default", concurrency=2)
    station.beat()
    station.beat()
    stands(station, "all", "once")
    return station


def test_a_tick_while_redis_is_down_is_accepted_and_runs_once_after_it(running: Station) -> None:
    """Row 12d: a daily row's tick, 0 sent for good."""
    at = running.call(now) + timedelta(seconds=1.5)
    running.call(install, [Wish("in the outage", at=at)])
    running.valkey.kill()
    [tick] = ticked(running, "in the outage")
    assert running.job(tick["job_id"])["state"] == "queued"
    ticked(running, "all", len(running.call(ticks_of, "all")) + 2)
    running.valkey.start()
    assert running.wait_state(tick["job_id"], "succeeded")["attempt"] == 1
    assert running.journal().count("in the outage") == 1
    assert {tick["outcome"] for tick in check_gapless(running, "all")} == {"run"}
    check_gapless(running, "once")


def test_ticks_while_the_database_is_down_are_made_up_as_their_policy_says(running: Station) -> None:
    before = {name: len(running.call(ticks_of, name)) for name in ("all", "once")}
    away(running, stopped, 4)
    back = running.call(now)
    for name in before:
        running.wait(lambda name=name: running.call(ticks_of, name)[-1]["at"] > back, what=f"{name} to go on")
    made_up = {name: check_gapless(running, name)[count:] for name, count in before.items()}
    assert {tick["outcome"] for tick in made_up["all"]} == {"run"}
    assert sum(tick["outcome"] == "run" and tick["at"] < back for tick in made_up["once"]) <= 3
    assert any(tick["why"] == "replaced" for tick in made_up["once"])


def test_a_connection_that_breaks_and_a_lock_on_the_jobs_cost_no_tick(running: Station) -> None:
    for _ in range(5):
        cut_once(running)
        time.sleep(0.4)
    away(running, locked, 2)
    back = running.call(now)
    running.wait(lambda: running.call(ticks_of, "all")[-1]["at"] > back, what="the ticks to go on")
    ticks = check_gapless(running, "all")
    assert {tick["outcome"] for tick in ticks} == {"run"}
    check_once_each(running, "once")
