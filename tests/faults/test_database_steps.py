"""The database goes away at each step of a job's life: nothing is lost, nothing is acknowledged away."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import group
from django.db import transaction

from tests.plain_tasks import flaky, journaled
from tests.support.accounts import balance
from tests.support.console import RemoteError
from tests.support.outages import KINDS, away, locked, stopped
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: Seconds; a minute at the tests' time scale is the longer one.
SHORT, LONG = 4.0, 6.0
#: Seconds after its return within which what is due must run: the promise is 5.
BACK = 10.0


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with two workers and beat."""
    station.worker("default", concurrency=1, name="first")
    station.worker("default", concurrency=1, name="second")
    station.beat()
    return station


def begin(station: Station, *seconds: float) -> list[str]:
    """One running job for each of these durations."""
    ids = [station.post(journaled, each) for each in seconds]
    for id in ids:
        station.wait_state(id, "running")
    return ids


def check_once(station: Station, ids: list[str]) -> None:
    """All balance, at the first attempt, nobody was taken for dead."""
    rows = balance(station, ids)
    assert [(row["state"], row["attempt"], row["crashes"]) for row in rows] == [("succeeded", 1, 0)] * len(rows)
    assert [station.journal().count(f"start {id}") for id in ids] == [1] * len(ids)


def test_a_job_that_ends_during_the_outage_is_settled_after_it(running: Station) -> None:
    """At settle."""
    ids = begin(running, 1, 1)
    away(running, stopped, SHORT)
    running.wait_ended(ids, BACK)
    check_once(running, ids)


def test_a_hint_that_arrives_during_the_outage_is_not_acknowledged_away(running: Station) -> None:
    """At claim: the jobs in front end in the outage, the next hints are received in it."""
    ids = [*begin(running, 1, 1), *(running.post(journaled) for _ in range(6))]
    away(running, stopped, SHORT)
    running.wait_ended(ids, BACK)
    check_once(running, ids)


def test_what_falls_due_in_the_outage_runs_soon_after_it(running: Station) -> None:
    """During dispatch: delayed jobs, and the next attempt of one that failed."""
    delayed = [running.post(journaled, countdown=2) for _ in range(5)]
    again = running.post(flaky, "falls due", 1, 2)
    running.wait_state(again, "retrying")
    away(running, stopped, SHORT)
    running.wait_ended([*delayed, again], BACK)
    check_once(running, delayed)
    assert (running.job(again)["state"], running.job(again)["attempt"]) == ("succeeded", 2)
    assert running.journal().count("falls due") == 2


@pytest.mark.parametrize("kind", ["stopped", "frozen", "read only"])
def test_a_minute_at_every_step_starts_no_rescue_storm(running: Station, kind: str) -> None:
    """Jobs at settle, at claim, waiting, due and still running, while every heartbeat is missed."""
    waking = LONG + 4
    ids = begin(running, 0.5, waking)
    ids += [running.post(journaled, 0.1) for _ in range(10)]
    ids += [running.post(journaled, countdown=each) for each in (1, LONG / 2, LONG - 1)]
    away(running, KINDS[kind], LONG)
    running.wait_ended([id for id in ids if id != ids[1]], BACK)
    check_once(running, ids)


# --- at enqueue ---


def transaction_of_three(ids: list[str]) -> None:
    with transaction.atomic():
        for id in ids:
            journaled.apply_async(task_id=id)


def group_of_three(ids: list[str]) -> None:
    group(journaled.s().set(task_id=id) for id in ids).apply_async()


@pytest.mark.parametrize("way", [transaction_of_three, group_of_three], ids=lambda way: way.__name__)
def test_a_caller_is_told_when_nothing_can_be_accepted(running: Station, way: Callable[[list[str]], None]) -> None:
    """During enqueue: an error at once, and nothing half accepted; the same call does it later."""
    ids = [f"{way.__name__} {n}" for n in range(3)]
    with stopped(running):
        before = time.monotonic()
        with pytest.raises(RemoteError) as raised:
            running.call(way, ids)
        assert time.monotonic() - before < BACK
    assert raised.value.name in ("OperationalError", "InterfaceError")
    assert running.jobs(ids) == []
    running.call(way, ids)
    check_once(running, ids)


def test_a_caller_waits_for_a_lock_and_is_accepted_once(running: Station) -> None:
    """During enqueue: the database is there, and slow."""
    ids = [f"behind a lock {n}" for n in range(3)]
    with ThreadPoolExecutor(1) as caller:
        with locked(running):
            posting = caller.submit(running.call, group_of_three, ids)
            time.sleep(1)
            assert not posting.done()
        posting.result(BACK)
    check_once(running, ids)
