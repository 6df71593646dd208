"""Rows that nobody can run, beside a good one: it keeps its ticks, they are marked, and run when they are mended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from tests.support.scheduling import (
    ALL,
    NOTE,
    Wish,
    check_gapless,
    set_up,
    standing_of,
    stands,
    ticked,
    ticks_of,
    update,
)
from tests.support.station import Station

CRON = {"minute": "*", "hour": "*", "timezone": "UTC"}


@dataclass(frozen=True)
class Spoilt:
    """What is written past every check, what mends it, and a word of the reason."""

    spoil: dict[str, Any]
    mend: dict[str, Any]
    says: str
    #: The table that has the columns: the row's own, or that of its timing.
    table: str = "own"


KINDS = {
    "headers a list": Spoilt({"headers": "[]"}, {"headers": "{}"}, "headers"),
    "headers not JSON": Spoilt({"headers": "{tenant"}, {"headers": "{}"}, "headers"),
    "no timing": Spoilt({"interval_id": None}, {}, "timing"),
    "bad period": Spoilt({"period": "fortnights"}, {"period": "seconds"}, "fortnights", "interval"),
    "huge interval": Spoilt(
        {"every": 2_000_000_000, "period": "days"}, {"every": 1, "period": "seconds"}, "2000000000", "interval"
    ),
    "every nothing": Spoilt({"every": 0}, {"every": 1}, "second", "interval"),
    "unknown timezone": Spoilt({"timezone": "Mars/Olympus"}, {"timezone": "UTC"}, "Mars/Olympus", "crontab"),
    "hour 99": Spoilt({"hour": "99"}, {"hour": "*"}, "99", "crontab"),
    "31 February": Spoilt(
        {"day_of_month": "31", "month_of_year": "2"}, {"day_of_month": "*", "month_of_year": "*"}, "never", "crontab"
    ),
    "minute a word": Spoilt({"minute": "often"}, {"minute": "*"}, "often", "crontab"),
    "args not JSON": Spoilt({"args": "[1"}, {"args": '["args not JSON"]'}, "arg"),
    "kwargs a list": Spoilt({"kwargs": "[1]"}, {"kwargs": "{}"}, "arg"),
    "unknown queue": Spoilt({"queue": "nobody"}, {"queue": None}, "nobody"),
    "unknown task": Spoilt({"task": "no.such.task"}, {"task": NOTE}, "no.such.task"),
}
TABLES = {
    "own": PeriodicTask._meta.db_table,
    "interval": IntervalSchedule._meta.db_table,
    "crontab": CrontabSchedule._meta.db_table,
}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker; beat is started by the test, after the harm."""
    station.worker("default", concurrency=2)
    return station


def write(name: str, table: str, columns: dict[str, Any]) -> None:
    """SQL of somebody's own."""
    key = PeriodicTask.objects.filter(name=name).values_list("pk" if table == "own" else f"{table}_id", flat=True)[0]
    marks = ", ".join(f"{column} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLES[table]} SET {marks} WHERE id = %s", [*columns.values(), key])
        assert cursor.rowcount == 1


def interval_of(name: str) -> int:
    """The key of its interval."""
    found: int = PeriodicTask.objects.values_list("interval_id", flat=True).get(name=name)
    return found


def test_no_bad_row_stops_another_and_each_says_what_is_wrong_until_it_is_mended(running: Station) -> None:
    """Row 13: five kinds stop every schedule, three are skipped without a word."""
    station = running
    crons = [name for name, kind in KINDS.items() if kind.table == "crontab"]
    wishes = [Wish(name, cron=CRON) if name in crons else Wish(name, every=1) for name in KINDS]
    set_up(station, Wish("good", every=1, policy=ALL), *wishes)
    interval = station.call(interval_of, "no timing")
    for name, kind in KINDS.items():
        station.call(write, name, kind.table, kind.spoil)
    beat = station.beat()
    stands(station, "good", *KINDS)
    ticked(station, "good", 3)
    for name, kind in KINDS.items():
        found = station.call(standing_of, name)
        assert kind.says in found["broken"], f"{name}: {found}"
        assert (found["next_tick"], found["broken_at"] is not None) == (None, True)
        assert station.call(ticks_of, name) == []
    _told_everywhere(station)
    assert beat.running

    for name, kind in KINDS.items():
        station.call(write, name, kind.table, kind.mend or {"interval_id": interval})
    for name in set(KINDS) - set(crons):
        ticked(station, name, 2)
    for name in crons:
        station.wait(lambda name=name: station.call(standing_of, name)["next_tick"], what=f"{name} to go on")
    assert {name: station.call(standing_of, name)["broken"] for name in KINDS} == dict.fromkeys(KINDS, "")
    ticks = check_gapless(station, "good")
    assert {(tick["outcome"], tick["count"]) for tick in ticks} == {("run", 1)}
    assert all(tick["decided_at"] - tick["at"] < timedelta(seconds=4) for tick in ticks)
    assert beat.running


def _told_everywhere(station: Station) -> None:
    """In `doctor` and in `schedules list`, by name."""
    doctor = station.manage("doctor", check=False)
    listed = station.manage("schedules", "list")
    for name in KINDS:
        assert name in doctor.stdout, f"{name}: {doctor.stdout}{doctor.stderr}"
        lines = [line for line in listed.stdout.splitlines() if name in line]
        assert any("broken" in line.lower() for line in lines), f"{name}: {listed.stdout}"
    assert not any("good" in line and "broken" in line.lower() for line in listed.stdout.splitlines())


def test_a_row_that_is_spoilt_while_beat_runs_takes_no_other_with_it(running: Station) -> None:
    """Also by one that waits in memory for its moment, in one batch with the good one."""
    station = running
    set_up(station, Wish("sound", every=1, policy=ALL), *(Wish(f"soon {name}", every=1) for name in _own()))
    beat = station.beat()
    stands(station, "sound", *(f"soon {name}" for name in _own()))
    ticked(station, "sound", 2)
    for name, kind in _own().items():
        station.call(update, f"soon {name}", **kind.spoil)
    broken: Callable[[], bool] = lambda: all(  # noqa: E731
        station.call(standing_of, f"soon {name}")["broken"] for name in _own()
    )
    station.wait(broken, what="all to be marked broken")
    before = len(station.call(ticks_of, "sound"))
    ticked(station, "sound", before + 2)
    ticks = check_gapless(station, "sound")
    assert {(tick["outcome"], tick["count"]) for tick in ticks} == {("run", 1)}
    assert beat.running


def _own() -> dict[str, Spoilt]:
    return {name: kind for name, kind in KINDS.items() if kind.table == "own"}
