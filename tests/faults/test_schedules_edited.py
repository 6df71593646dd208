"""Schedules are edited while they are due: by a save, by `update()`, by SQL of somebody's own. No tick has two jobs."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask

from tests.plain_tasks import slow
from tests.support import scheduling
from tests.support.editing import WAYS
from tests.support.scheduling import (
    Wish,
    check_once_each,
    columns_of,
    install,
    jobs_of,
    now,
    set_up,
    standing_of,
    ticked,
    ticks_of,
)
from tests.support.station import Station

#: Seconds; here every constant is at a tenth, and a busy machine is no defect.
SEEN = 3.0


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker, two beats, and enough schedules at one moment that beats prepare their ticks before."""
    start = station.call(now)
    set_up(station, *(Wish(f"one of many {n}", every=1, columns={"start_time": start}) for n in range(15)))
    station.worker("default", concurrency=2)
    station.beat()
    station.beat()
    return station


def _among_many(station: Station) -> dict[str, Any]:
    """The columns of one that ticks with the many."""
    return {"start_time": station.call(columns_of, "one of many 0")["start_time"]}


def _at_the_tick(station: Station, name: str) -> None:
    """Returns a few ms before its next tick."""
    soon: Callable[[], Any] = lambda: station.call(standing_of, name).get("next_tick")  # noqa: E731
    wait = (station.wait(soon) - station.call(now)).total_seconds()
    time.sleep(max(0.0, wait - 0.01))


@pytest.mark.parametrize("way", WAYS)
def test_an_edit_at_the_tick_is_seen_and_no_tick_has_two_jobs(running: Station, way: str) -> None:
    """Switched off and on again, other arguments, another interval, another name: each at the very tick."""
    station = running
    edit, retime, _ = WAYS[way]
    name, renamed = f"edited by {way}", f"renamed by {way}"
    station.call(install, [Wish(name, every=1, columns=_among_many(station))])
    ticked(station, name)
    for _ in range(3):
        _at_the_tick(station, name)
        station.call(edit, name, enabled=False)
        off = station.call(now)
        time.sleep(0.4)
        assert [tick for tick in station.call(ticks_of, name) if tick["decided_at"] > off] == []
        station.call(edit, name, enabled=True)
        ticked(station, name, len(station.call(ticks_of, name)) + 1)
    ticked(station, name, len(station.call(ticks_of, name)) + 1)
    _at_the_tick(station, name)
    station.call(edit, name, args='["other words"]')
    station.wait(lambda: "other words" in station.journal(), SEEN, "the new arguments")
    _at_the_tick(station, name)
    station.call(retime, name, 3600)
    retimed = station.call(now)
    station.wait(lambda: _is_an_hour_off(station, name), SEEN, "the new interval")
    assert [tick for tick in station.call(ticks_of, name) if (tick["at"] - retimed).total_seconds() > 1] == []
    before = len(check_once_each(station, name))
    station.call(retime, name, 1)
    ticked(station, name, before + 1)
    _at_the_tick(station, name)
    station.call(edit, name, name=renamed)
    after = len(station.call(ticks_of, renamed))
    ticks = ticked(station, renamed, after + 2)
    ran = [tick["job_id"] for tick in ticks if tick["outcome"] == "run"]
    ids = [job["id"] for known in (name, renamed) for job in station.call(jobs_of, known)]
    assert len(ids) == len(set(ids))
    assert set(ran) <= set(ids)
    assert station.job(ran[-1])["schedule"] == renamed
    station.call(edit, renamed, enabled=False)
    time.sleep(0.5)
    ids = [job["id"] for known in (name, renamed) for job in station.call(jobs_of, known)]
    ran = [tick["job_id"] for tick in station.call(ticks_of, renamed) if tick["outcome"] == "run"]
    assert sorted(ran) == sorted(ids)


def _is_an_hour_off(station: Station, name: str) -> bool:
    standing = station.call(standing_of, name)
    found = standing.get("next_tick")
    return bool(found and (found - station.call(now)).total_seconds() > 3000)


@pytest.mark.parametrize("way", WAYS)
def test_a_schedule_that_is_deleted_at_its_tick_makes_no_more_jobs(running: Station, way: str) -> None:
    station, name = running, f"deleted by {way}"
    key = station.call(install, [Wish(name, every=1, columns=_among_many(station))])[name]
    ticked(station, name)
    _at_the_tick(station, name)
    station.call(WAYS[way][2], name)
    time.sleep(0.5)
    before = station.call(jobs_of, name)
    left: Callable[[], Any] = lambda: [  # noqa: E731
        row
        for table in ("standing", "policy", "edit")
        for row in station.sql(f"SELECT schedule_id FROM jobs_schedule{table} WHERE schedule_id = %s", key)
    ]
    station.wait(lambda: not left(), SEEN, "its rows to be removed")
    time.sleep(1.5)
    assert station.call(jobs_of, name) == before


def test_a_rename_goes_with_the_jobs_that_have_not_ended(running: Station) -> None:
    """So the overlap of the renamed schedule still sees them."""
    station = running
    columns = {"task": slow.name, "args": "[4]"}
    station.call(install, [Wish("old name", every=1, policy={"overlap": "skip"}, columns=columns)])
    [tick, *_] = ticked(station, "old name")
    station.wait_state(tick["job_id"], "running")
    station.call(scheduling.update, "old name", name="new name")
    station.wait(lambda: station.job(tick["job_id"])["schedule"] == "new name", SEEN, "the live job's new name")
    skipped = [each for each in ticked(station, "new name", 3) if each["outcome"] == "skipped"]
    assert {(each["why"], each["job_id"]) for each in skipped} == {("overlap", tick["job_id"])}
    station.call(scheduling.update, "new name", enabled=False)


def edits_in_a_hurry(name: str, count: int) -> None:
    """One after the other, as fast as they go; the row is as before at the end."""
    for turn in range(count):
        PeriodicTask.objects.filter(name=name).update(enabled=turn % 2 == 1, priority=turn % 10)


def test_a_hundred_edits_in_a_row_make_no_second_job(running: Station) -> None:
    station = running
    station.call(install, [Wish("restless", every=1, columns=_among_many(station))])
    ticked(station, "restless")
    for _ in range(3):
        station.call(edits_in_a_hurry, "restless", 100)
        time.sleep(0.4)
    ticked(station, "restless", len(station.call(ticks_of, "restless")) + 1)
    station.call(scheduling.update, "restless", enabled=False)
    time.sleep(0.5)
    check_once_each(station, "restless")
