"""The dispatcher and the clock that runs it."""

import time

import pytest
from celery import chord, current_app
from celery.result import AsyncResult
from django.db import OperationalError
from django_celery_results.models import ChordCounter

from jobs.clock import Clock, dispatcher
from jobs.clock.clock import Duty
from jobs.conf import conf
from jobs.ledger.publish import collecting
from jobs.models import Job
from jobs.states import State
from tests.plain_tasks import add, total
from tests.support.moves import USING, deliver, later, queued, row, rung
from tests.support.valkey import ValkeyServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_due_job_is_rung_however_many_batches_that_takes(bell: ValkeyServer) -> None:
    with collecting():
        ids = [queued(countdown=60) for _ in range(conf().batch + 20)]
    Job.objects.update(run_at=later(-1))
    assert dispatcher.dispatch(USING) == len(ids)
    assert sorted(rung(bell)) == sorted(ids)


def test_nothing_due_is_nothing_done() -> None:
    queued(countdown=60)
    assert dispatcher.dispatch(USING) == 0


def test_what_is_too_late_expires_at_its_time() -> None:
    job_id = queued(expires=60)
    assert dispatcher.expire(USING) == 0
    Job.objects.update(expires_at=later(-1))
    assert dispatcher.expire(USING) == 1
    assert AsyncResult(job_id).status == "REVOKED"


def test_a_member_that_expires_is_counted_by_its_chord() -> None:
    body = chord([add.s(1, 1), add.s(2, 2).set(expires=60)])(total.s())
    first, second = Job.objects.filter(group_id__isnull=False).order_by("created_at")
    deliver(add, first.id)
    Job.objects.filter(id=second.id).update(expires_at=later(-1))
    dispatcher.expire(USING)
    assert ChordCounter.objects.get().count == 0
    assert AsyncResult(body.id).status == "FAILURE"


def test_a_due_job_is_rung_within_a_second_by_the_clock(bell: ValkeyServer) -> None:
    clock = Clock(USING)
    clock.start()
    try:
        job_id = queued(countdown=0.3)
        start = time.monotonic()
        wait_for(lambda: rung(bell) == [job_id], 10)
        assert time.monotonic() - start < 1.5
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


def test_a_duty_is_done_once_in_its_time() -> None:
    done: list[str] = []
    clock = Clock(USING)
    duty = Duty(done.append, every=60)
    clock.turn(duty)
    clock.turn(duty)
    assert done == [USING]


@pytest.mark.parametrize("error", [OperationalError("gone"), RuntimeError("a bug")])
def test_no_error_stops_the_clock(error: Exception) -> None:
    def fails(using: str) -> None:
        raise error

    done: list[str] = []
    clock = Clock(USING)
    clock.duties = [Duty(fails, 0), Duty(done.append, 0)]
    clock.tick()
    clock.duties.pop(0)
    clock.tick()
    assert done == [USING]


def test_trouble_with_the_database_makes_the_rescuer_hold_off() -> None:
    clock = Clock(USING)
    rescuer = clock.trouble.__self__  # type: ignore[attr-defined]

    def fails(using: str) -> None:
        raise OperationalError("gone")

    clock.duties = [Duty(fails, 0)]
    clock.tick()
    assert rescuer.calm_from > time.monotonic() + conf().heartbeat


def test_the_ledgers_backend_is_the_one_that_expiry_tells() -> None:
    assert type(current_app.backend).__name__ == "LedgerBackend"
