"""Limits: no more jobs of a queue run at once than it allows; in `payments` one by one, in the order of acceptance."""

import random

import pytest

from jobs import lifecycle
from jobs.lifecycle import Claimed, Refusal
from jobs.models import Job, Queue, QueueSlot
from jobs.states import Hold, State
from tests.support.moves import NO, USING, again, later, queued, row, rung, take, together
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _limits(db: None) -> None:
    lifecycle.set_limits(USING)


def limit(number: int, queue: str = "heavy") -> None:
    Queue.objects.filter(name=queue).update(limit=number)


def claim(job_id: str) -> Claimed | Refusal:
    answer: Claimed | Refusal = take(job_id, limited=True)
    return answer


def end(claimed: Claimed | Refusal) -> None:
    """The job succeeds and gives its slot back, as its worker does it."""
    assert isinstance(claimed, Claimed)
    assert lifecycle.succeed(claimed.id, claimed.token, None, using=USING)
    lifecycle.give_slots_back([claimed.id], USING)


def test_a_job_beyond_the_limit_is_held() -> None:
    limit(2)
    ids = [queued(queue="heavy") for _ in range(3)]
    assert [isinstance(claim(job_id), Claimed) for job_id in ids] == [True, True, False]
    assert (row(ids[2]).state, row(ids[2]).hold) == (State.QUEUED, Hold.LIMIT)


def test_a_worker_that_does_not_know_of_the_limit_keeps_it() -> None:
    """An operator has set it since the worker started."""
    limit(1)
    first, second = queued(queue="heavy"), queued(queue="heavy")
    claimed = take(first)
    assert isinstance(claimed, Claimed)
    assert claimed.limited
    assert take(second) is Refusal.LIMIT


def test_a_freed_slot_rings_the_first_that_waits_for_it(bell: ValkeyServer) -> None:
    limit(1)
    first, second, third = (queued(queue="heavy") for _ in range(3))
    claimed = claim(first)
    assert [claim(second), claim(third)] == [Refusal.LIMIT, Refusal.LIMIT]
    bell.flushall()
    end(claimed)
    assert rung(bell, "heavy") == [second]
    assert (row(second).hold, row(third).hold) == (Hold.NONE, Hold.LIMIT)


def test_a_limit_of_one_holds_over_many_racing_claims() -> None:
    limit(1)
    for _ in range(4):
        ids = [queued(queue="heavy") for _ in range(6)]
        answers = together(*[lambda job_id=job_id: claim(job_id) for job_id in ids])
        won = [answer for answer in answers if isinstance(answer, Claimed)]
        assert len(won) == 1, answers
        assert QueueSlot.objects.count() == 1
        lifecycle.cancel_waiting(ids, using=USING)
        end(won[0])


def test_a_limit_of_three_lets_exactly_three_of_many_racing_claims_through() -> None:
    limit(3)
    ids = [queued(queue="heavy") for _ in range(8)]
    answers = together(*[lambda job_id=job_id: claim(job_id) for job_id in ids])
    assert sum(isinstance(answer, Claimed) for answer in answers) == 3, answers
    assert Job.objects.filter(state=State.RUNNING).count() == QueueSlot.objects.count() == 3


def test_racing_claims_of_one_job_take_one_slot() -> None:
    limit(2)
    job_id = queued(queue="heavy")
    answers = together(*[lambda: claim(job_id)] * 4)
    assert sum(isinstance(answer, Claimed) for answer in answers) == 1, answers
    assert QueueSlot.objects.count() == 1


def test_the_same_token_claims_again_in_its_own_slot() -> None:
    job_id = queued(queue="payments")
    first = take(job_id, "mine", limited=True)
    assert take(job_id, "mine", limited=True) == first
    assert QueueSlot.objects.count() == 1


def test_payments_start_in_the_order_of_acceptance_whatever_hint_comes_first(bell: ValkeyServer) -> None:
    posted = [queued(queue="payments") for _ in range(5)]
    ran = []
    random.seed(7)
    for _ in range(40):
        waiting = rung(bell, "payments")
        if not waiting:
            break
        bell.flushall()
        random.shuffle(waiting)
        claims = [answer for job_id in waiting if isinstance(answer := claim(job_id), Claimed)]
        assert len(claims) <= 1
        ran += [claimed.id for claimed in claims]
        for claimed in claims:
            end(claimed)
    assert ran == posted


def test_of_racing_payments_only_the_first_accepted_starts() -> None:
    posted = [queued(queue="payments") for _ in range(5)]
    answers = together(*[lambda job_id=job_id: claim(job_id) for job_id in posted])
    assert [isinstance(answer, Claimed) for answer in answers] == [True, False, False, False, False]


def test_a_hint_out_of_turn_rings_whose_turn_it_is(bell: ValkeyServer) -> None:
    first, second = queued(queue="payments"), queued(queue="payments")
    bell.flushall()  # the hint of the first is lost
    assert claim(second) is Refusal.LIMIT
    assert rung(bell, "payments") == [first]


def test_a_payment_that_retries_frees_its_slot() -> None:
    first, second = queued(queue="payments"), queued(queue="payments")
    claimed = claim(first)
    assert isinstance(claimed, Claimed)
    lifecycle.retry(first, claimed.token, again(first, run_at=later()), NO, using=USING)
    assert isinstance(claim(second), Claimed)


def test_a_payment_that_died_does_not_hold_up_the_others(bell: ValkeyServer) -> None:
    first, second = queued(queue="payments"), queued(queue="payments")
    claimed = claim(first)
    assert isinstance(claimed, Claimed)
    claim(second)
    bell.flushall()
    lifecycle.cancel_running(first, claimed.token, NO, using=USING)
    assert rung(bell, "payments") == [second]
    assert isinstance(claim(second), Claimed)


def test_a_cancelled_first_in_line_lets_the_next_start(bell: ValkeyServer) -> None:
    first, second = queued(queue="payments"), queued(queue="payments")
    claim(second)
    lifecycle.cancel_waiting([first], using=USING)
    bell.flushall()
    assert lifecycle.free_stale_slots(USING) == 1
    assert rung(bell, "payments") == [second]
    assert isinstance(claim(second), Claimed)


def test_a_paused_queue_gives_no_slot() -> None:
    job_id = queued(queue="payments")
    lifecycle.pause("payments", by="ada", using=USING)
    Job.objects.update(hold=Hold.NONE)
    assert claim(job_id) is Refusal.PAUSED
    assert not QueueSlot.objects.exists()


def test_a_slot_of_a_job_that_does_not_run_is_found_and_freed(bell: ValkeyServer) -> None:
    first, second = queued(queue="payments"), queued(queue="payments")
    claimed = claim(first)
    claim(second)
    assert isinstance(claimed, Claimed)
    lifecycle.succeed(first, claimed.token, None, using=USING)  # the worker died before it gave the slot back
    bell.flushall()
    lifecycle.free_stale_slots(USING)
    assert not QueueSlot.objects.exists()
    assert rung(bell, "payments") == [second]


def test_a_slot_of_a_running_job_is_not_freed() -> None:
    claim(queued(queue="payments"))
    lifecycle.free_stale_slots(USING)
    assert QueueSlot.objects.count() == 1


def test_a_raised_limit_lets_the_held_ones_start(bell: ValkeyServer) -> None:
    limit(1)
    ids = [queued(queue="heavy") for _ in range(3)]
    for job_id in ids:
        claim(job_id)
    limit(3)
    bell.flushall()
    assert lifecycle.free_stale_slots(USING) == 2
    assert rung(bell, "heavy") == ids[1:]
