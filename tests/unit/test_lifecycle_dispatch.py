"""Dispatch: what is due is queued and rung, once, however many dispatch."""

import pytest

from jobs import lifecycle
from jobs.models import Job
from jobs.states import DISPATCH, Hold, State
from tests.support.moves import USING, in_state, later, queued, row, rung, together
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def due(state: State = State.SCHEDULED, seconds: float = -1) -> str:
    """A job whose time came so many seconds ago."""
    job_id = in_state(state)
    Job.objects.filter(id=job_id).update(run_at=later(seconds))
    return job_id


@pytest.mark.parametrize("state", DISPATCH.sources)
def test_a_due_job_is_queued_and_rung(state: State, bell: ValkeyServer) -> None:
    job_id = due(state)
    bell.flushall()
    assert lifecycle.dispatch(10, using=USING) == 1
    assert row(job_id).state == State.QUEUED
    assert row(job_id).rung_at is not None
    assert rung(bell) == [job_id]


@pytest.mark.parametrize("state", DISPATCH.sources)
def test_a_job_whose_time_has_not_come_waits(state: State) -> None:
    job_id = due(state, seconds=30)
    assert lifecycle.dispatch(10, using=USING) == 0
    assert row(job_id).state == state


@pytest.mark.parametrize("state", [state for state in State if state not in DISPATCH.sources])
def test_no_other_job_is_dispatched(state: State, bell: ValkeyServer) -> None:
    job_id = due(state)
    bell.flushall()
    assert lifecycle.dispatch(10, using=USING) == 0
    assert row(job_id).state == state
    assert rung(bell) == []


def test_the_longest_due_go_first_and_no_more_than_asked(bell: ValkeyServer) -> None:
    jobs = {seconds: due(seconds=-seconds) for seconds in (10, 30, 20)}
    assert lifecycle.dispatch(2, using=USING) == 2
    assert rung(bell) == [jobs[30], jobs[20]]
    assert row(jobs[10]).state == State.SCHEDULED


def test_a_due_job_of_a_paused_queue_is_held_and_not_rung(bell: ValkeyServer) -> None:
    job_id = due()
    lifecycle.pause("default", by="ada", using=USING)
    assert lifecycle.dispatch(10, using=USING) == 1
    assert (row(job_id).state, row(job_id).hold) == (State.QUEUED, Hold.PAUSED)
    assert rung(bell) == []


def test_two_dispatchers_ring_each_job_once(bell: ValkeyServer) -> None:
    ids = [due() for _ in range(40)]
    moved = together(*[lambda: lifecycle.dispatch(100, using=USING)] * 3)
    assert sum(count for count in moved if isinstance(count, int)) == 40
    assert sorted(rung(bell)) == sorted(ids)


def test_of_a_dispatch_and_a_cancel_that_race_the_row_tells_who_won() -> None:
    for _ in range(8):
        job_id = due()
        _, cancelled = together(
            lambda: lifecycle.dispatch(10, using=USING),
            lambda job_id=job_id: lifecycle.cancel_waiting([job_id], using=USING),
        )
        # A job that waits can be cancelled before its time and after: it never stays alive.
        assert row(job_id).state == (State.CANCELLED if cancelled else State.QUEUED)


def test_a_job_that_was_due_is_queued_even_when_redis_is_gone(bell: ValkeyServer) -> None:
    job_id = due()
    bell.stop()
    assert lifecycle.dispatch(10, using=USING) == 1
    assert (row(job_id).state, row(job_id).rung_at) == (State.QUEUED, None)


def test_what_is_queued_is_not_dispatched_again() -> None:
    queued()
    assert lifecycle.dispatch(10, using=USING) == 0
