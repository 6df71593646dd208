"""Claim: exactly one worker takes a queued job, and everything it runs with comes from the row."""

import pytest

from jobs import lifecycle
from jobs.lifecycle import Claimed, Refusal
from jobs.messages import arguments
from jobs.models import Job, QueueSlot
from jobs.states import CLAIM, Hold, State
from tests.plain_tasks import add, echo
from tests.support.moves import USING, deliver, in_state, later, queued, row, take, together

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_claim_takes_the_job_and_sets_token_worker_and_lease() -> None:
    claimed = take(queued(), "token-1", lease=60)
    job = row(claimed.id)
    assert (job.state, job.attempt, job.token) == (State.RUNNING, 1, "token-1")
    assert (job.worker_id, job.worker) == ("w", "w@here")
    assert 59 < (job.lease_until - job.started_at).total_seconds() < 62


def test_a_claim_tells_the_worker_what_the_row_holds() -> None:
    claimed = take(queued("é", 2, task=echo, priority=4))
    assert (claimed.task, claimed.queue, claimed.attempt, claimed.priority) == (echo.name, "default", 1, 4)
    assert arguments(claimed.body) == (["é", 2], {})
    assert claimed.envelope == row(claimed.id).envelope


def test_a_second_claim_is_refused_and_changes_nothing() -> None:
    claimed = take(queued())
    before = Job.objects.filter(id=claimed.id).values().get()
    assert take(claimed.id) is Refusal.GONE
    assert Job.objects.filter(id=claimed.id).values().get() == before


def test_the_same_token_claims_again_without_counting_a_second_attempt() -> None:
    """The reply of the first UPDATE was lost with the connection."""
    job_id = queued()
    first = take(job_id, "mine")
    assert take(job_id, "mine") == first
    assert row(job_id).attempt == 1


def test_of_racing_claims_exactly_one_wins() -> None:
    for _ in range(8):
        job_id = queued()
        answers = together(*[lambda job_id=job_id: take(job_id)] * 4)
        won = [answer for answer in answers if isinstance(answer, Claimed)]
        assert len(won) == 1, answers
        assert set(answers) - set(won) == {Refusal.GONE}
        assert (row(job_id).token, row(job_id).attempt) == (won[0].token, 1)


def test_of_a_claim_and_a_cancel_that_race_one_wins() -> None:
    seen = set()
    for _ in range(10):
        job_id = queued()
        claimed, cancelled = together(
            lambda job_id=job_id: take(job_id),
            lambda job_id=job_id: lifecycle.cancel_waiting([job_id], using=USING),
        )
        assert isinstance(claimed, Claimed) != bool(cancelled), (claimed, cancelled)
        assert row(job_id).state == (State.CANCELLED if cancelled else State.RUNNING)
        seen.add(row(job_id).state)
    assert seen


@pytest.mark.parametrize("state", [state for state in State if state not in CLAIM.sources])
def test_only_a_queued_job_can_be_claimed(state: State) -> None:
    job_id = in_state(state)
    before = Job.objects.filter(id=job_id).values().get()
    assert take(job_id) is Refusal.GONE
    assert Job.objects.filter(id=job_id).values().get() == before


def test_a_forged_hint_claims_nothing() -> None:
    assert take("nobody-posted-this") is Refusal.GONE


def test_a_hint_that_names_another_task_claims_nothing() -> None:
    job_id = queued()
    assert take(job_id, task=echo.name) is Refusal.OTHER_TASK
    assert row(job_id).state == State.QUEUED


def test_a_job_beyond_its_expiry_is_not_claimed_and_its_worker_ends_it() -> None:
    job_id = queued(expires=60)
    Job.objects.filter(id=job_id).update(expires_at=later(-1))
    assert take(job_id) is Refusal.EXPIRED
    assert deliver(add, job_id).info.state == "IGNORED"
    assert (row(job_id).state, row(job_id).attempt) == (State.EXPIRED, 0)


def test_a_job_of_a_paused_queue_is_held() -> None:
    job_id = queued()
    lifecycle.pause("default", by="ada", using=USING)
    Job.objects.filter(id=job_id).update(hold=Hold.NONE)  # rung while the queue was being paused
    assert take(job_id) is Refusal.PAUSED
    assert (row(job_id).state, row(job_id).hold) == (State.QUEUED, Hold.PAUSED)


@pytest.mark.parametrize("hold", [hold for hold in Hold if hold])
def test_a_held_job_is_not_claimed(hold: Hold) -> None:
    job_id = queued()
    Job.objects.filter(id=job_id).update(hold=hold)
    assert isinstance(take(job_id), Refusal)
    assert (row(job_id).state, row(job_id).hold) == (State.QUEUED, hold)


def test_a_refused_claim_leaves_no_slot_behind() -> None:
    lifecycle.set_limits(USING)
    claimed = take(queued(queue="payments"), limited=True)
    lifecycle.cancel_running(claimed.id, claimed.token, lifecycle.Failure("X"), using=USING)
    take(claimed.id, limited=True)
    assert not QueueSlot.objects.exists()
