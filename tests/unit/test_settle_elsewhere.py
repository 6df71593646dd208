"""What is settled outside the body's process: a worker's parent and its heartbeat must not stand still over it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import chord, current_app, shared_task
from celery.app.task import Context
from celery.exceptions import NotRegistered, WorkerLostError
from django.db import OperationalError, connection, connections

from jobs import lifecycle
from jobs.clock import rescuer
from jobs.conf import conf
from jobs.ledger import current, execution, postponed, results, settle, spool
from jobs.ledger.ending import Ending
from jobs.models import Job
from jobs.states import Reason, State
from tests import plain_tasks
from tests.conftest import ON_POSTGRES
from tests.plain_tasks import add, fail, note, on_error, total
from tests.support.moves import NO, USING, deliver, queued, row, rung, running
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)
on_postgres = pytest.mark.skipif(not ON_POSTGRES, reason="SQLite has one lock, and nobody keeps it for ever")


@pytest.fixture(autouse=True)
def own_spool(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.DATA_DIR = tmp_path
    settings.JOBS = {**settings.JOBS, "PATIENCE": 0}
    conf.cache_clear()
    yield
    postponed.postponed.clear()
    conf.cache_clear()


@pytest.fixture
def locked() -> Iterator[str]:
    """A running job whose row another session keeps locked: one that was cut off in the middle of its settle."""
    job_id, _ = running()
    other = connections["other"] = connections[USING].copy("other")
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM jobs_job WHERE id = %s FOR UPDATE", [job_id])
        cursor.execute("SET idle_in_transaction_session_timeout = 10000")  # a test that fails must end too
    yield job_id
    other.close()
    del connections["other"]


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[str]]:
    monkeypatch.setattr(plain_tasks, "JOURNAL", tmp_path / "journal")
    return plain_tasks.lines


CALLED = threading.Event()


@shared_task
def slow_errback(request: Any, error: Any, trace: Any) -> None:
    time.sleep(4)
    CALLED.set()


def parents_claim(job_id: str) -> current.Claim:
    held = settle.claim_of(row(job_id), USING)
    held.patient = False
    return held


def refuse(*args: Any) -> Any:
    raise OperationalError("the server closed the connection unexpectedly")


@on_postgres
def test_a_row_that_somebody_keeps_locked_stops_no_parent(locked: str) -> None:
    start = time.monotonic()
    with current.active(parents_claim(locked)):
        current_app.backend.mark_as_failure(locked, TimeoutError("the hard limit"), request=Context(id=locked))
    assert time.monotonic() - start < 5
    assert row(locked).state == State.RUNNING
    connections["other"].rollback()
    postponed.write_postponed()
    assert row(locked).state == State.DEAD


@on_postgres
def test_an_outcome_that_meets_a_lock_stops_neither_the_heartbeat_nor_the_others(locked: str) -> None:
    free, token = running()
    for job_id, fence in ((locked, row(locked).token or ""), (free, token)):
        assert spool.keep(partial(lifecycle.succeed, job_id, fence, None, using=USING))
        time.sleep(0.02)  # the locked one is the older one
    start = time.monotonic()
    postponed.write_postponed()
    assert time.monotonic() - start < 5
    assert row(free).state == State.SUCCEEDED
    connections["other"].rollback()
    postponed.write_postponed()
    assert row(locked).state == State.SUCCEEDED


def test_an_outcome_that_the_database_never_takes_keeps_no_other_from_being_told() -> None:
    assert spool.keep(partial(refuse))
    time.sleep(0.02)
    job_id, token = running()
    assert spool.keep(partial(lifecycle.succeed, job_id, token, None, using=USING))
    crashed, fence = running()
    with connection.execute_wrapper(refuse):
        held = current.Claim(crashed, fence, USING, patient=False)
        assert settle.crashed(held, WorkerLostError("gone"), None, current_app.backend)
    with pytest.raises(OperationalError):
        postponed.write_postponed()
    assert row(job_id).state == State.SUCCEEDED
    assert row(crashed).state == State.RETRYING
    assert spool.waiting() == 1


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def dying(job_id: str) -> current.Claim:
    """The parent's claim on a job that has just killed its worker once too often."""
    Job.objects.filter(id=job_id).update(crashes=conf().max_crashes - 1)
    return parents_claim(job_id)


def test_a_postponed_death_calls_its_inline_errbacks_once(journal: Callable[[], list[str]]) -> None:
    job_id, _ = running("x", task=fail, link_error=on_error.s())
    held = dying(job_id)
    context, wrapper = settle.context_of(row(job_id)), connection.execute_wrapper(refuse)
    with current.active(held), wrapper:
        settle.crashed(held, WorkerLostError("gone"), context, current_app.backend)
    assert (row(job_id).state, journal()) == (State.RUNNING, [])
    postponed.write_postponed()
    postponed.write_postponed()
    assert row(job_id).state == State.DEAD
    wait_for(lambda: journal() == [f"error of {job_id}: gone"])


def test_a_slow_errback_of_what_is_told_late_does_not_silence_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, _ = running("x", task=fail, link_error=slow_errback.s())
    held = settle.claim_of(row(job_id), USING)
    ending = Ending(
        held,
        partial(lifecycle.die, job_id, held.token, Reason.EXHAUSTED, NO, using=USING),
        [partial(results._call, "_call_task_errbacks", settle.context_of(row(job_id)), ValueError("x"), None)],
    )
    assert spool.keep(ending.write_late)
    check_aside(postponed.write_postponed)


def check_aside(act: Callable[[], Any]) -> None:
    CALLED.clear()
    start = time.monotonic()
    act()
    assert time.monotonic() - start < 3
    assert CALLED.wait(timeout=10)


def test_a_slow_errback_of_a_rescued_job_does_not_stop_the_clock() -> None:
    job_id, _ = running("x", task=fail, link_error=slow_errback.s())
    Job.objects.filter(id=job_id).update(crashes=conf().max_crashes - 1)
    check_aside(lambda: rescuer._end_attempt(row(job_id), USING))
    assert row(job_id).state == State.DEAD


def test_a_slow_errback_of_a_job_that_ends_waiting_does_not_stop_the_clock() -> None:
    job_id = queued("x", task=fail, link_error=slow_errback.s())
    check_aside(lambda: current_app.backend.fail_waiting([job_id], Reason.UNKNOWN_TASK, NotRegistered("x")))
    assert row(job_id).state == State.DEAD


def test_a_slow_errback_does_not_stop_a_workers_parent() -> None:
    job_id, _ = running("x", task=fail, link_error=slow_errback.s())
    held, context = parents_claim(job_id), settle.context_of(row(job_id))
    with current.active(held):
        check_aside(
            lambda: current_app.backend.mark_as_failure(job_id, TimeoutError("the hard limit"), request=context)
        )
    assert row(job_id).state == State.DEAD


def test_a_database_that_leaves_while_a_chords_body_is_posted_fails_nobody() -> None:
    body = chord([add.s(1, 1), add.s(2, 2)])(total.s())
    one, two = Job.objects.order_by("created_at").values_list("id", flat=True)
    deliver(add, one)
    left: list[str] = []

    def leave(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("INSERT INTO jobs_job") and not left:
            left.append(sql)
            raise OperationalError("the server closed the connection unexpectedly")
        return execute(sql, *args)

    with connection.execute_wrapper(leave):
        deliver(add, two)
    postponed.write_postponed()
    assert left
    assert row(two).state == State.SUCCEEDED
    assert row(body.id).state == State.QUEUED


def test_a_claim_whose_answer_was_lost_is_given_back(monkeypatch: pytest.MonkeyPatch, bell: ValkeyServer) -> None:
    """It was committed, and the outage was longer than the worker's patience: nobody runs the job."""
    job_id = queued("claimed", task=note)
    claim = execution._claim

    def unanswered(*args: Any) -> Any:
        claim(*args)
        raise OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr(execution, "_claim", unanswered)
    done = deliver(note, job_id)
    assert done.info.state == "REJECTED"
    assert row(job_id).state == State.RUNNING
    bell.flushall()
    postponed.write_postponed()
    assert (row(job_id).state, row(job_id).attempt, row(job_id).crashes) == (State.QUEUED, 0, 0)
    assert rung(bell) == [job_id]


def test_an_outcome_whose_pickling_fails_oddly_is_waited_for() -> None:
    class Odd:
        def __reduce__(self) -> Any:
            raise ValueError("not today")

    assert spool.write(partial(print, Odd()), "odd") is None


def test_a_spool_of_another_user_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stat(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", stat)
    assert not spool.holds("token")


def test_an_end_that_cant_be_written_at_all_stops_no_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery kills the process of an overdue body only after this, and its message would never be acknowledged."""
    job_id, _ = running()

    def refuses(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("of a receiver of somebody's signal")

    monkeypatch.setattr(lifecycle, "die", refuses)
    with current.active(parents_claim(job_id)):
        current_app.backend.mark_as_failure(job_id, TimeoutError("the hard limit"), request=Context(id=job_id))
    assert row(job_id).state == State.RUNNING
