"""Cancel: what waits ends at once; what runs is asked, and ends by its holder's hand."""

import pytest

from jobs import lifecycle
from jobs.models import Attempt, Job, QueueSlot
from jobs.states import WAITING, Hold, Outcome, State
from tests.support.moves import NO, USING, in_state, queued, row, running, take, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("state", WAITING)
def test_a_waiting_job_is_cancelled_at_once(state: State) -> None:
    job_id = in_state(state)
    assert [job.id for job in lifecycle.cancel_waiting([job_id], using=USING)] == [job_id]
    job = row(job_id)
    assert (job.state, job.hold, job.cancel_requested) == (State.CANCELLED, Hold.NONE, True)
    assert job.finished_at is not None


@pytest.mark.parametrize("state", [state for state in State if state not in WAITING])
def test_no_other_job_is_cancelled_as_waiting(state: State) -> None:
    job_id = in_state(state)
    before = Job.objects.filter(id=job_id).values().get()
    assert lifecycle.cancel_waiting([job_id], using=USING) == []
    assert Job.objects.filter(id=job_id).values().get() == before


def test_many_are_cancelled_in_one_call_and_unknown_ids_are_left_out() -> None:
    ids = [queued() for _ in range(5)]
    assert {job.id for job in lifecycle.cancel_waiting([*ids, "unknown"], using=USING)} == set(ids)


def test_a_second_cancel_does_nothing() -> None:
    job_id = queued()
    lifecycle.cancel_waiting([job_id], using=USING)
    finished = row(job_id).finished_at
    assert lifecycle.cancel_waiting([job_id], using=USING) == []
    assert row(job_id).finished_at == finished


def test_of_two_cancels_that_race_one_tells_of_it() -> None:
    job_id = queued()
    answers = together(*[lambda: lifecycle.cancel_waiting([job_id], using=USING)] * 4)
    assert sorted(len(answer) for answer in answers if isinstance(answer, list)) == [0, 0, 0, 1]


def test_a_running_job_is_only_asked() -> None:
    job_id, token = running()
    assert lifecycle.request_cancel([job_id, queued()], using=USING) == [job_id]
    assert (row(job_id).state, row(job_id).cancel_requested) == (State.RUNNING, True)
    assert lifecycle.succeed(job_id, token, None, using=USING)


def test_a_terminated_job_is_cancelled_by_its_holder_and_keeps_its_attempt() -> None:
    job_id, token = running()
    assert lifecycle.cancel_running(job_id, token, NO, using=USING)
    job = row(job_id)
    assert (job.state, job.cancel_requested, job.token) == (State.CANCELLED, True, None)
    assert Attempt.objects.get(job_id=job_id).outcome == Outcome.CANCELLED


def test_a_terminated_job_frees_its_slot() -> None:
    lifecycle.set_limits(USING)
    claimed = take(queued(queue="payments"), limited=True)
    lifecycle.cancel_running(claimed.id, claimed.token, NO, using=USING)
    assert not QueueSlot.objects.exists()
