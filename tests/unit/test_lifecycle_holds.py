"""Holds: why a queued job may not start yet, and what ends that."""

import pytest
from django.db.models import Q

from jobs import lifecycle
from jobs.models import Job, Queue
from jobs.states import Hold, State
from tests.support.moves import USING, in_state, queued, row, rung, running, take
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def pause(queue: str = "default") -> None:
    lifecycle.pause(queue, by="ada", reason="the bank is down", using=USING)


def test_a_pause_holds_what_is_queued_and_tells_who_and_why() -> None:
    job_id = queued()
    pause()
    queue = Queue.objects.get(name="default")
    assert (queue.paused, queue.paused_by, queue.pause_reason) == (True, "ada", "the bank is down")
    assert queue.paused_at is not None
    assert (row(job_id).state, row(job_id).hold) == (State.QUEUED, Hold.PAUSED)


def test_a_pause_leaves_running_jobs_and_other_queues_alone() -> None:
    job_id, token = running()
    other = queued(queue="heavy")
    pause()
    assert row(other).hold == Hold.NONE
    assert lifecycle.succeed(job_id, token, None, using=USING)


def test_a_second_pause_does_nothing() -> None:
    queued()
    pause()
    pause()
    assert Job.objects.get().hold == Hold.PAUSED
    assert Queue.objects.filter(name="default").count() == 1


def test_a_resume_ends_the_hold_and_rings_in_the_order_of_acceptance(bell: ValkeyServer) -> None:
    ids = [queued() for _ in range(4)]
    pause()
    bell.flushall()
    assert lifecycle.resume("default", using=USING) == 4
    assert set(Job.objects.values_list("hold", flat=True)) == {Hold.NONE}
    assert rung(bell) == ids
    queue = Queue.objects.get(name="default")
    assert (queue.paused, queue.paused_at, queue.paused_by, queue.pause_reason) == (False, None, "", "")


def test_a_resume_rings_nothing_of_another_queue(bell: ValkeyServer) -> None:
    queued(queue="heavy")
    pause("heavy")
    pause()
    bell.flushall()
    assert lifecycle.resume("default", using=USING) == 0
    assert rung(bell, "heavy") == []


def test_a_pause_keeps_the_limit_of_its_queue() -> None:
    lifecycle.set_limits(USING)
    pause("payments")
    lifecycle.resume("payments", using=USING)
    assert Queue.objects.get(name="payments").limit == 1


def test_a_pause_before_any_worker_ran_knows_the_limit_too() -> None:
    pause("payments")
    assert Queue.objects.get(name="payments").limit == 1


@pytest.mark.parametrize("state", [state for state in State if state != State.QUEUED])
def test_only_queued_jobs_are_held(state: State) -> None:
    job_id = in_state(state)
    pause()
    lifecycle.hold_unknown(job_id, USING)
    assert row(job_id).hold == Hold.NONE


def test_a_job_whose_task_the_worker_does_not_know_is_held_for_one_that_does(bell: ValkeyServer) -> None:
    job_id = queued()
    lifecycle.hold_unknown(job_id, USING)
    assert (row(job_id).state, row(job_id).hold) == (State.QUEUED, Hold.UNKNOWN_TASK)
    bell.flushall()
    assert lifecycle.clear_holds(Q(hold=Hold.UNKNOWN_TASK), USING) == 1
    assert rung(bell) == [job_id]
    assert take(job_id).attempt == 1


def test_a_hold_never_covers_an_id_that_was_given_on() -> None:
    job_id, token = running()
    lifecycle.replace(job_id, token, using=USING)
    lifecycle.hold_unknown(job_id, USING)
    pause()
    assert row(job_id).hold == Hold.REPLACED


def test_no_more_holds_end_than_asked(bell: ValkeyServer) -> None:
    ids = [queued() for _ in range(3)]
    pause()
    bell.flushall()
    assert lifecycle.clear_holds(Q(hold=Hold.PAUSED), USING, first=2) == 2
    assert rung(bell) == ids[:2]


def test_set_limits_makes_every_queues_row_and_keeps_what_an_operator_changed() -> None:
    lifecycle.set_limits(USING)
    assert Queue.objects.get(name="payments").in_order
    Queue.objects.filter(name="payments").update(limit=5)
    Queue.objects.filter(name="heavy").delete()
    lifecycle.set_limits(USING)
    assert Queue.objects.get(name="payments").limit == 5
    assert set(Queue.objects.values_list("name", flat=True)) >= {"emails", "heavy", "payments", "default"}
