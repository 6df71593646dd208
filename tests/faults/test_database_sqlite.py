"""SQLite: somebody holds the write lock at each step of a job's life, shorter and longer than anyone waits for it."""

import time

import pytest

from tests.plain_tasks import journaled
from tests.support.accounts import balance
from tests.support.outages import write_locked
from tests.support.rows import Row
from tests.support.station import Station
from tests.support.variants import HURRIED, variables

pytestmark = pytest.mark.databases("sqlite")

LOCK = 4.0


@pytest.fixture(scope="module")
def patient(station: Station) -> Station:
    """As it is shipped: a statement waits 30 s for the lock."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def begin(station: Station) -> list[str]:
    """Two running jobs, four that wait, two that fall due soon."""
    ids = [station.post(journaled, 0.5) for _ in range(2)]
    ids += [station.post(journaled, 0.1) for _ in range(4)]
    ids += [station.post(journaled, countdown=1) for _ in range(2)]
    station.wait(lambda: {f"start {id}" for id in ids[:2]} <= {*station.journal()})
    return ids


def check_once(station: Station, ids: list[str]) -> list[Row]:
    rows = balance(station, ids)
    assert [(row["state"], row["attempt"], row["crashes"]) for row in rows] == [("succeeded", 1, 0)] * len(rows)
    assert [station.journal().count(f"start {id}") for id in ids] == [1] * len(ids)
    return rows


def test_a_held_write_lock_at_claim_and_settle_loses_nothing(patient: Station) -> None:
    """Row 09 on SQLite: statements wait."""
    ids = begin(patient)
    with write_locked(patient):
        time.sleep(LOCK)
    check_once(patient, ids)


def test_a_write_lock_held_longer_than_anyone_waits_loses_nothing(fresh_station: Station) -> None:
    """Row 09 on SQLite: statements fail, settles are spooled, patience ends, claims are handed back."""
    station = fresh_station
    with variables(station, DJANGO_SETTINGS_MODULE=HURRIED):
        worker = station.worker("default", concurrency=2)
        station.beat()
    ids = begin(station)
    with write_locked(station):
        station.wait(lambda: "is settled when the database is back" in worker.output())
        station.wait(lambda: "is handed back" in worker.output())
    check_once(station, ids)
    assert not list((station.data / "spool").glob("*.entry"))
