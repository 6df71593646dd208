"""The database goes away for 4 s under a queue of short jobs: each runs once, and each is recorded."""

import time
from typing import Any

import pytest

from tests.plain_tasks import journaled
from tests.support.accounts import balance
from tests.support.figures import tell
from tests.support.outages import KINDS, away, stopped
from tests.support.rows import Row
from tests.support.station import Station
from tests.support.variants import RETRYING, UNTRACKED, variables

pytestmark = pytest.mark.databases("postgres")

OUTAGE = 4.0
#: Seconds after its return within which the first job must end: the promise is 5.
BACK = 10.0
COUNT = {"stopped": 80, "frozen": 24, "cut": 24, "locked": 24, "read only": 24}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with two workers and beat."""
    station.worker("default", concurrency=2, name="first")
    station.worker("default", concurrency=2, name="second")
    station.beat()
    return station


def post(station: Station, count: int, **options: Any) -> list[str]:
    """Jobs of 0.4 s; the first of them have ended when this returns."""
    ids = [station.post(journaled, 0.4, **options) for _ in range(count)]
    station.wait(lambda: ended(station, ids) >= 4)
    return ids


def ended(station: Station, ids: list[str]) -> int:
    return sum(row["finished_at"] is not None for row in station.jobs(ids))


def check_back(station: Station, ids: list[str]) -> None:
    """Called when the database has just come back: jobs end again."""
    before, returned = ended(station, ids), time.monotonic()
    if before < len(ids):
        station.wait(lambda: ended(station, ids) > before, BACK, "a job to end after the outage")
    assert time.monotonic() - returned < BACK
    tell("09", "first job ends after the database returned (s)", time.monotonic() - returned)


def check_undisturbed(station: Station, rows: list[Row]) -> None:
    """Each ran once; none was taken for crashed although every heartbeat was missed."""
    assert [(row["state"], row["attempt"], row["crashes"]) for row in rows] == [("succeeded", 1, 0)] * len(rows)
    journal = station.journal()
    assert [journal.count(f"start {row['id']}") for row in rows] == [1] * len(rows)
    assert [journal.count(f"end {row['id']}") for row in rows] == [1] * len(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_all_jobs_under_an_outage_run_once_and_are_recorded(running: Station, kind: str) -> None:
    """Rows 09, 21: plain Celery leaves 32 of 80 without a record, or destroys 58 of 80 before they run."""
    ids = post(running, COUNT[kind])
    away(running, KINDS[kind], OUTAGE)
    check_back(running, ids)
    check_undisturbed(running, balance(running, ids))


def test_jobs_without_a_result_run_once_and_leave_none(running: Station) -> None:
    """Row 21b."""
    ids = post(running, 24, ignore_result=True)
    away(running, stopped, OUTAGE)
    check_undisturbed(running, running.wait_ended(ids, 60))
    assert [running.result(id) for id in ids] == [{}] * len(ids)


def test_celerys_own_retries_and_tracking_change_nothing(fresh_station: Station) -> None:
    """Rows 09b, 21c: `result_backend_always_retry`, once without and once with `task_track_started`."""
    station = fresh_station
    for settings in (RETRYING, UNTRACKED):
        with variables(station, DJANGO_SETTINGS_MODULE=settings):
            station.worker("default", concurrency=2, name=settings.rpartition(".")[2])
    ids = post(station, 40)
    away(station, stopped, OUTAGE)
    rows = balance(station, ids)
    check_undisturbed(station, rows)
    assert len({row["worker"] for row in rows}) == 2, "one of the workers did nothing"
