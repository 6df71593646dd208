"""The dispatcher and the clock that runs it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import chord, current_app
from celery.result import AsyncResult
from django.db import DataError, InterfaceError, OperationalError, connections
from django.test.utils import CaptureQueriesContext
from django_celery_results.models import ChordCounter

from jobs.clock import Clock, dispatcher
from jobs.clock.clock import Duty
from jobs.conf import conf
from jobs.ledger.publish import collecting
from jobs.models import Job
from jobs.states import State
from tests.conftest import ON_POSTGRES
from tests.plain_tasks import add, total
from tests.support.moves import USING, deliver, later, queued, row, rung
from tests.support.valkey import ValkeyServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_due_job_is_rung_however_many_batches_that_takes(bell: ValkeyServer) -> None:
    with collecting():
        ids = [queued(countdown=60) for _ in range(conf().batch + 20)]
    Job.objects.update(run_at=later(-1))
    assert list(dispatcher.dispatch(USING)) == [conf().batch, 20]
    assert sorted(rung(bell)) == sorted(ids)


def test_nothing_due_is_nothing_done() -> None:
    queued(countdown=60)
    assert list(dispatcher.dispatch(USING)) == []


def test_one_statement_finds_that_nothing_is_due_or_overdue() -> None:
    queued(countdown=60, expires=90)
    idle = dispatcher.Dispatcher()
    with CaptureQueriesContext(connections[USING]) as said:
        assert [*idle.dispatch(USING), *idle.expire(USING)] == []
    assert len(said) == 1


def test_what_one_statement_finds_is_rung_and_expired(bell: ValkeyServer) -> None:
    due, overdue = queued(countdown=60), queued(countdown=60, expires=90)
    Job.objects.filter(id=due).update(run_at=later(-1))
    Job.objects.filter(id=overdue).update(expires_at=later(-1))
    busy = dispatcher.Dispatcher()
    assert [*busy.dispatch(USING), *busy.expire(USING)] == [1, 1]
    assert (row(due).state, row(overdue).state) == (State.QUEUED, State.EXPIRED)


def test_what_is_too_late_expires_at_its_time() -> None:
    job_id = queued(expires=60)
    assert list(dispatcher.expire(USING)) == []
    Job.objects.update(expires_at=later(-1))
    assert list(dispatcher.expire(USING)) == [1]
    assert AsyncResult(job_id).status == "REVOKED"


def test_a_member_that_expires_is_counted_by_its_chord() -> None:
    body = chord([add.s(1, 1), add.s(2, 2).set(expires=60)])(total.s())
    first, second = Job.objects.filter(group_id__isnull=False).order_by("created_at")
    deliver(add, first.id)
    Job.objects.filter(id=second.id).update(expires_at=later(-1))
    assert list(dispatcher.expire(USING)) == [1]
    assert ChordCounter.objects.get().count == 0
    assert AsyncResult(body.id).status == "FAILURE"


def test_a_due_job_is_rung_within_a_second_by_the_clock(bell: ValkeyServer) -> None:
    clock = Clock(USING)
    clock.start()
    try:
        job_id = queued(countdown=0.3)
        start = time.monotonic()
        wait_for(lambda: rung(bell) == [job_id], 10)
        assert time.monotonic() - start < 5
        assert row(job_id).state == State.QUEUED
    finally:
        clock.stop()
    assert not clock.is_alive()


def test_a_clock_that_does_not_lead_does_nothing() -> None:
    leading, standing_by = Clock(USING), Clock(USING)
    job_id = queued(countdown=60)
    Job.objects.update(run_at=later(-1))
    assert leading.leader.lead()
    standing_by.tick()
    assert row(job_id).state == State.SCHEDULED
    leading.tick()
    assert row(job_id).state == State.QUEUED


# --- The clock's turns ---


def leading(*duties: Duty) -> Clock:
    """A clock that leads and has these duties only."""
    clock = Clock(USING)
    clock.duties = list(duties)
    assert clock.leader.lead()
    return clock


def noting(done: list[str], word: str = "done") -> Callable[[str], Iterator[object]]:
    """A duty of one step, which it notes."""

    def do(using: str) -> Iterator[object]:
        done.append(word)
        yield

    return do


def failing(error: Exception) -> Callable[[str], Iterator[object]]:
    def do(using: str) -> Iterator[object]:
        raise error
        yield

    return do


def test_a_duty_is_done_once_in_its_time() -> None:
    done: list[str] = []
    clock = leading(Duty(noting(done), every=60))
    clock.tick()
    clock.tick()
    assert done == ["done"]


def test_long_work_goes_on_in_the_next_tick_and_what_is_due_comes_between() -> None:
    done: list[str] = []

    def long(using: str) -> Iterator[object]:
        for step in ("first", "second"):
            done.append(step)
            time.sleep(conf().turn * 1.1)
            yield

    clock = leading(Duty(noting(done, "due"), every=0), Duty(long, every=60))
    for _ in range(3):
        clock.tick()
    assert done == ["due", "first", "due", "second", "due"]
    assert clock.until_next() <= 0.01


def test_one_that_loses_the_lead_in_the_middle_of_its_work_stops_there() -> None:
    """A beat that was frozen wakes where it was."""
    done: list[int] = []

    def long(using: str) -> Iterator[object]:
        for step in range(9):
            done.append(step)
            if step == 2:
                clock.leader.leads_until = time.monotonic()
            yield

    clock = leading(Duty(long, every=60), Duty(failing(AssertionError("not any more")), every=0))
    clock.tick()
    assert done == [0, 1, 2]
    assert clock.duties[0].under_way is None


def test_work_that_was_under_way_is_forgotten_with_the_lead() -> None:
    clock = Clock(USING)
    clock.duties = [Duty(noting([]), every=60, under_way=iter([1, 2, 3]))]
    assert Clock(USING).leader.lead()
    clock.tick()
    assert clock.duties[0].under_way is None
    assert conf().standby_every / 2 < clock.until_next() <= conf().standby_every


@pytest.mark.parametrize(
    "error",
    [pytest.param(OperationalError("deadlock detected"), marks=pytest.mark.skipif(not ON_POSTGRES, reason="a lock")),
     DataError("odd"), RuntimeError("a bug")],
)  # fmt: skip
def test_no_error_of_one_duty_stops_the_others(error: Exception) -> None:
    done: list[str] = []
    clock = leading(Duty(failing(error), 0), Duty(noting(done), 0))
    clock.tick()
    clock.tick()
    assert done == ["done", "done"]
    assert rescuer_of(clock).calm_from == 0


def test_no_error_stops_the_clock() -> None:
    done: list[str] = []
    clock = leading(Duty(failing(InterfaceError("gone")), 0), Duty(noting(done), 0))
    clock.tick()
    clock.duties.pop(0)
    clock.tick()
    assert done


def test_a_database_that_is_gone_makes_the_rescuer_hold_off(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = leading(Duty(failing(OperationalError("gone")), 0))
    monkeypatch.setattr(connections[USING], "is_usable", lambda: False)
    clock.tick()
    assert rescuer_of(clock).calm_from > time.monotonic() + conf().heartbeat


def rescuer_of(clock: Clock) -> Any:
    return clock.trouble.__self__  # type: ignore[attr-defined]


def test_the_ledgers_backend_is_the_one_that_expiry_tells() -> None:
    assert type(current_app.backend).__name__ == "LedgerBackend"
