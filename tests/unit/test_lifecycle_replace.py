"""Replace: the id of a running job is given on to a later step; until that one comes the row is held for it."""

import pytest
from celery import chain
from django_celery_results.models import TaskResult

from jobs import lifecycle
from jobs.lifecycle import Refusal
from jobs.messages import arguments
from jobs.models import Job
from jobs.states import Hold, State
from tests.plain_tasks import add, replaced
from tests.support.moves import NO, USING, again, deliver, later, queued, row, rung, running, take
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def held() -> str:
    """A job whose id was given on."""
    job_id, token = running()
    assert lifecycle.replace(job_id, token, using=USING)
    return job_id


def test_a_replaced_job_is_held_for_its_later_step() -> None:
    job = row(held())
    assert (job.state, job.hold, job.token, job.lease_until) == (State.QUEUED, Hold.REPLACED, None, None)


def test_a_held_id_is_claimed_by_nobody() -> None:
    assert take(held()) is Refusal.GONE


def test_the_step_that_carries_the_id_ends_the_hold(bell: ValkeyServer) -> None:
    job_id = held()
    bell.flushall()
    step = again(job_id, retries=0, task="tests.plain_tasks.echo")
    lifecycle.enqueue([step], by_worker=True, using=USING)
    job = row(job_id)
    assert (job.state, job.hold, job.task, job.attempt) == (State.QUEUED, Hold.NONE, "tests.plain_tasks.echo", 0)
    assert rung(bell) == [job_id]


def test_the_step_that_carries_the_id_may_wait_for_a_time(bell: ValkeyServer) -> None:
    job_id = held()
    bell.flushall()
    lifecycle.enqueue([again(job_id, retries=0, run_at=later(60))], by_worker=True, using=USING)
    assert (row(job_id).state, row(job_id).hold) == (State.SCHEDULED, Hold.NONE)
    assert rung(bell) == []


def test_a_caller_can_not_post_a_held_id() -> None:
    job_id = held()
    queued(40, 2, task_id=job_id)
    assert row(job_id).hold == Hold.REPLACED
    assert arguments(row(job_id).body) == ([1, 2], {})


def test_a_held_id_does_not_stand_in_line() -> None:
    job_id = held()
    assert not Job.objects.waiting_in_line().filter(id=job_id).exists()
    assert not Job.objects.startable().filter(id=job_id).exists()


def test_a_held_id_does_not_expire() -> None:
    job_id = held()
    Job.objects.filter(id=job_id).update(expires_at=later(-1))
    assert lifecycle.expire(using=USING) == []
    assert row(job_id).hold == Hold.REPLACED


def test_an_earlier_step_that_dies_ends_the_held_id() -> None:
    job_id = held()
    assert lifecycle.fail_replaced(job_id, State.DEAD, NO, using=USING)
    assert (row(job_id).state, row(job_id).error) == (State.DEAD, "ValueError")
    assert not lifecycle.fail_replaced(job_id, State.DEAD, NO, using=USING)


def test_no_other_queued_job_dies_of_an_earlier_step() -> None:
    job_id = queued()
    assert not lifecycle.fail_replaced(job_id, State.DEAD, NO, using=USING)
    assert row(job_id).state == State.QUEUED


def test_a_cancelled_held_id_stays_cancelled_when_its_step_comes() -> None:
    job_id = held()
    lifecycle.cancel_waiting([job_id], using=USING)
    lifecycle.enqueue([again(job_id, retries=0)], by_worker=True, using=USING)
    assert row(job_id).state == State.CANCELLED


def test_a_body_that_replaces_itself_hands_its_id_and_its_place_in_the_chain_on() -> None:
    last = chain(replaced.s(40), add.s(100)).apply_async()
    first = last.parent.id
    assert deliver(replaced, first).info.state == "IGNORED"
    assert (row(first).task, row(first).state, row(first).hold) == (add.name, State.QUEUED, Hold.NONE)
    deliver(add, first)
    deliver(add, last.id)
    assert TaskResult.objects.get(task_id=last.id).result == "141"
