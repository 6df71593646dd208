"""The host's clock is wrong by hours: ticks follow the database's clock."""

from datetime import datetime, timedelta

import pytest

from tests.support.scheduling import (
    ALL,
    Wish,
    check_gapless,
    check_once_each,
    jobs_of,
    now,
    set_back,
    set_up,
    standing_of,
    stands,
    ticked,
)
from tests.support.skewing import skewed
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker whose host has the right time."""
    station.worker("default", concurrency=2)
    return station


@pytest.mark.parametrize("offset", ["+3h", "-3h"])
def test_a_beat_whose_host_is_hours_off_keeps_the_databases_time(running: Station, offset: str) -> None:
    """Nothing fires early, nothing twice when a beat with the right time takes over, no job expires at birth."""
    station, began = running, running.call(now)
    minute = began.replace(second=0, microsecond=0)
    hour, day = timedelta(hours=1), timedelta(days=1)
    daily = {f"{hours:+} h {offset}": minute + hours * hour for hours in (-2, -1, 1, 2)}
    sure = {"expire_seconds": 600}
    at = began + timedelta(seconds=6)
    set_up(
        station,
        *(Wish(name, cron=_daily(when)) for name, when in daily.items()),
        Wish(f"second {offset}", every=1, policy=ALL, columns=sure),
        Wish(f"ends in an hour {offset}", every=1, policy=ALL, columns={"expires": began + hour}),
        Wish(f"starts in an hour {offset}", every=1, columns={"start_time": began + hour}),
        Wish(f"clocked {offset}", at=at, columns=sure),
        Wish(f"ended {offset}", at=began + 2 * hour),
    )
    for name, when in daily.items():
        station.call(set_back, name, when - (day if when > minute else timedelta()))
    wrong = station.beat(skewed(offset))
    stands(station, *daily, f"second {offset}")
    _check_skewed(wrong.output(), offset)
    ticked(station, f"second {offset}", 3)
    station.beat()
    wrong.kill()
    ticked(station, f"second {offset}", 6)
    [tick] = ticked(station, f"clocked {offset}")
    assert abs(tick["at"] - at) < timedelta(milliseconds=1)
    silent = (*daily, f"starts in an hour {offset}", f"ended {offset}")
    assert {name: check_once_each(station, name) for name in silent} == {name: [] for name in silent}
    for name in (f"second {offset}", f"ends in an hour {offset}"):
        ticks = check_gapless(station, name)
        assert {(tick["outcome"], tick["count"]) for tick in ticks} == {("run", 1)}
        assert all(timedelta() <= tick["decided_at"] - tick["at"] < timedelta(seconds=4) for tick in ticks)
        rows = station.wait_ended([tick["job_id"] for tick in ticks])
        assert {row["state"] for row in rows} == {"succeeded"}
        assert all(job["created_at"] - began < timedelta(minutes=5) for job in station.call(jobs_of, name))
    for name, when in daily.items():
        expected = when if when > minute else when + day
        assert station.call(standing_of, name)["next_tick"] == expected


def _daily(at: datetime) -> dict[str, str]:
    return {"minute": str(at.minute), "hour": str(at.hour), "timezone": "UTC"}


def _check_skewed(banner: str, offset: str) -> None:
    """Whether beat, as it says itself, lives at another hour; a test of a host with the right time shows nothing."""
    said = [line.partition("->")[2].strip() for line in banner.splitlines() if "LocalTime ->" in line][-1]
    off = (datetime.fromisoformat(said) - datetime.now()).total_seconds() / 3600
    assert round(off) == int(offset.removesuffix("h")), banner
