"""Beat was down across ticks: each policy does what it says, and what the pure function says."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.timing.plan import Outage
from tests.support.scheduling import (
    ALL,
    Wish,
    check_gapless,
    check_once_each,
    now,
    planned,
    positions,
    set_back,
    set_up,
    standing_of,
    stands,
    ticked,
    ticks_of,
    update,
)
from tests.support.station import Station

#: Seconds without any beat.
DOWN = 5.0
POLICIES: dict[str, dict[str, Any]] = {
    "once": {},
    "skip": {"missed": "skip", "max_lateness": 1},
    "all": ALL,
    "all up to two": {"missed": "all", "missed_limit": 2},
    "all of three seconds": {"missed": "all", "missed_limit": 100, "max_lateness": 3},
    "once if fresh": {"missed": "once", "max_lateness": 2},
}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker; each test starts and kills its beats."""
    station.worker("default", concurrency=2)
    return station


def test_each_policy_does_what_it_says_of_the_ticks_that_beat_missed(running: Station) -> None:
    """Row 12: 4 missed, 1 sent, whatever one would have liked."""
    station = running
    ids = set_up(station, *(Wish(name, every=1, policy=policy) for name, policy in POLICIES.items()))
    beat = station.beat()
    for name in ids:
        ticked(station, name, 2)
    beat.kill()
    stood = station.call(positions, ids)
    time.sleep(DOWN)
    again = station.call(now)
    station.beat()
    for name in ids:
        station.wait(lambda name=name: _on_time_again(station, name, again), what=f"{name} to be on time again")
    ran = {name: _check_as_planned(station, name, stood[name]) for name in ids}
    assert ran["once"] == ran["once if fresh"] == 1
    assert ran["skip"] <= 1
    assert ran["all"] >= DOWN - 1
    assert ran["all up to two"] == 2
    assert 2 <= ran["all of three seconds"] <= 4


def _on_time_again(station: Station, name: str, since: datetime) -> bool:
    """Whether a tick after the return ran in its own second."""
    return any(
        tick["at"] > since and tick["decided_at"] - tick["at"] < timedelta(seconds=1) and tick["outcome"] == "run"
        for tick in station.call(ticks_of, name)
    )


def _check_as_planned(station: Station, name: str, position: datetime) -> int:
    """The ticks of the outage are those of `plan`; how many of them ran."""
    ticks = [tick for tick in check_gapless(station, name) if tick["at"] > position]
    kept_at = min(tick["decided_at"] for tick in ticks)
    missed = [tick for tick in ticks if tick["at"] <= kept_at]
    expected = station.call(planned, name, position, kept_at, [Outage(position, kept_at)])
    told = [{column: tick[column] for column in ("at", "outcome", "why", "count")} for tick in missed]
    assert told == expected, f"{name}: {missed}"
    return sum(tick["outcome"] == "run" for tick in missed)


def test_a_daily_run_that_was_missed_is_made_up_once_and_none_is_sent_early(running: Station) -> None:
    """Rows 12b and 12c: 3 h and 10 h ago not sent, one due in 1 h sent at once, every one again at each restart."""
    station = running
    minute = station.call(now).replace(second=0, microsecond=0)
    missed = {f"{hours} h ago": minute - timedelta(hours=hours) for hours in (1, 3, 10)}
    ahead = {"in 1 h": minute + timedelta(hours=1), "in 1 h, missed yesterday": minute + timedelta(hours=1)}
    set_up(station, *(Wish(name, cron=_daily(at)) for name, at in {**missed, **ahead}.items()))
    for name, at in {**missed, **ahead}.items():
        station.call(set_back, name, at - timedelta(days=2 if name.endswith("yesterday") else 1))
    for restart in range(2):
        beat = station.beat()
        stands(station, *missed, *ahead)
        for name in (*missed, "in 1 h, missed yesterday"):
            ticked(station, name)
        time.sleep(1)
        beat.kill()
        told = {name: [tick["at"] for tick in check_once_each(station, name)] for name in (*missed, *ahead)}
        yesterday = ahead["in 1 h"] - timedelta(days=1)
        expected = {
            **{name: [at] for name, at in missed.items()},
            "in 1 h": [],
            "in 1 h, missed yesterday": [yesterday],
        }
        assert told == expected, f"after start {restart + 1}"
    assert station.call(standing_of, "in 1 h")["next_tick"] == ahead["in 1 h"]


def test_a_clocked_run_whose_time_came_without_a_beat_is_made_up(running: Station) -> None:
    station = running
    at = station.call(now) + timedelta(seconds=0.5)
    names = {"wanted": {}, "not wanted": {"missed": "skip", "max_lateness": 1}}
    set_up(station, *(Wish(f"clocked, {name}", at=at, policy=policy) for name, policy in names.items()))
    time.sleep(2)
    station.beat()
    [made_up] = ticked(station, "clocked, wanted")
    [skipped] = ticked(station, "clocked, not wanted")
    assert station.wait_state(made_up["job_id"], "succeeded")
    assert (skipped["outcome"], skipped["why"], skipped["job_id"]) == ("skipped", "missed", None)


def test_ticks_of_a_pause_are_not_made_up(running: Station) -> None:
    station = running
    set_up(station, Wish("paused a while", every=1, policy=POLICIES["all"]))
    station.beat()
    ticked(station, "paused a while")
    station.call(update, "paused a while", enabled=False)
    time.sleep(3)
    again = station.call(now)
    before = len(station.call(ticks_of, "paused a while"))
    station.call(update, "paused a while", enabled=True)
    ticks = ticked(station, "paused a while", before + 2)
    assert all(tick["at"] > again for tick in ticks[before:])
    assert {tick["count"] for tick in ticks} == {1}


def _daily(at: datetime) -> dict[str, str]:
    return {"minute": str(at.minute), "hour": str(at.hour), "timezone": "UTC"}
