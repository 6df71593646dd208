"""Enqueue inside a transaction: the job exists when the row is committed, neither earlier nor after a rollback."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import transaction

from tests.plain_tasks import journaled, lines, note
from tests.support.accounts import balance
from tests.support.console import RemoteError
from tests.support.outages import cut_once, stopped
from tests.support.station import Station

#: Seconds that a caller stays in its transaction: plain Celery has run the job long before.
INSIDE = 1.5


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker; no beat, so that nobody but the commit rings."""
    station.worker("default", concurrency=2)
    station.wait_state(station.post(note, "warm"), "succeeded")
    return station


def committed() -> tuple[list[str], list[str]]:
    """(the ids, the journal just before the commit)."""
    with transaction.atomic():
        ids = [journaled.delay().id for _ in range(3)]
        time.sleep(INSIDE)
        return ids, lines()


def rolled_back() -> list[str]:
    with transaction.atomic():
        ids = [journaled.delay().id for _ in range(3)]
        time.sleep(INSIDE)
        transaction.set_rollback(True)
    return ids


def half_rolled_back() -> tuple[str, str]:
    """(a job of the transaction, a job of a savepoint that was rolled back)."""
    with transaction.atomic():
        kept = journaled.delay().id
        with transaction.atomic():
            dropped = journaled.delay().id
            transaction.set_rollback(True)
    return kept, dropped


def test_a_job_does_not_run_before_the_commit_and_runs_right_after_it(running: Station) -> None:
    """Row 20: plain Celery runs it 2 s before the commit."""
    ids, before = running.call(committed)
    assert not [line for line in before if line.removeprefix("start ") in ids]
    running.wait_ended(ids, 5)
    assert {row["attempt"] for row in balance(running, ids)} == {1}


def test_a_job_of_a_rolled_back_transaction_never_runs(running: Station) -> None:
    """Row 20: plain Celery runs it nevertheless."""
    ids = running.call(rolled_back)
    kept, dropped = running.call(half_rolled_back)
    balance(running, [kept, running.post(journaled)])
    assert running.jobs([*ids, dropped]) == []
    assert not {f"start {id}" for id in (*ids, dropped)} & {*running.journal()}


def interrupted(ids: list[str]) -> None:
    """In a transaction, for a while."""
    with transaction.atomic():
        for id in ids:
            journaled.apply_async(task_id=id)
        note.delay("inside")
        time.sleep(INSIDE)


def crash(station: Station) -> None:
    with stopped(station):
        time.sleep(1)


def cut_off(station: Station) -> None:
    cut_once(station)


@pytest.mark.databases("postgres")
@pytest.mark.parametrize("fault", [crash, cut_off], ids=lambda fault: fault.__name__)
def test_a_transaction_that_the_database_ended_leaves_no_job(
    running: Station, fault: Callable[[Station], None]
) -> None:
    """Rows 09, 20: the caller is told; the same ids posted again are accepted, and each runs once."""
    ids = [f"{fault.__name__} {n}" for n in range(3)]
    with ThreadPoolExecutor(1) as caller:
        posting = caller.submit(running.call, interrupted, ids)
        time.sleep(INSIDE / 2)
        fault(running)
        with pytest.raises(RemoteError) as raised:
            posting.result(20)
    assert raised.value.name in ("OperationalError", "InterfaceError")
    assert running.jobs(ids) == []
    running.call(interrupted, ids)
    balance(running, ids)
    assert [running.journal().count(f"start {id}") for id in ids] == [1, 1, 1]
