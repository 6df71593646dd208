"""Settle: only the holder of the token closes the attempt; the result is written with it, or not at all."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django_celery_results.models import TaskResult

from jobs import lifecycle
from jobs.models import Attempt, Job
from jobs.states import Reason, State
from tests.plain_tasks import note
from tests.support.moves import NO, USING, again, deliver, in_state, later, result_of, row, running, take, together

pytestmark = pytest.mark.django_db(transaction=True)

#: Every verb that closes an attempt, as a worker calls it.
SETTLES: dict[str, Callable[[str, str], Any]] = {
    "succeed": lambda job_id, token: lifecycle.succeed(job_id, token, result_of(job_id), using=USING),
    "succeed without a result": lambda job_id, token: lifecycle.succeed(job_id, token, None, using=USING),
    "retry": lambda job_id, token: lifecycle.retry(job_id, token, again(job_id, run_at=later()), NO, using=USING),
    "release": lambda job_id, token: lifecycle.release(job_id, token, using=USING),
    "replace": lambda job_id, token: lifecycle.replace(job_id, token, using=USING),
    "die": lambda job_id, token: lifecycle.die(job_id, token, Reason.NOT_RETRYABLE, NO, using=USING),
    "cancel": lambda job_id, token: lifecycle.cancel_running(job_id, token, NO, using=USING),
    "crash": lambda job_id, token: lifecycle.crash(job_id, token, NO, using=USING),
}


def everything(job_id: str) -> tuple[Any, ...]:
    """All that a settle could have written."""
    return (
        Job.objects.filter(id=job_id).values().get(),
        list(TaskResult.objects.values()),
        list(Attempt.objects.values()),
    )


def test_a_success_ends_the_job_and_lets_go_of_it() -> None:
    job_id, token = running()
    assert lifecycle.succeed(job_id, token, result_of(job_id), using=USING)
    job = row(job_id)
    assert (job.state, job.token, job.worker_id, job.lease_until) == (State.SUCCEEDED, None, None, None)
    assert job.finished_at >= job.started_at
    assert (job.error, job.message, job.attempt) == ("", "", 1)


def test_a_success_writes_the_result_that_celery_reads() -> None:
    job_id, token = running()
    lifecycle.succeed(job_id, token, result_of(job_id, {"sum": 3}), using=USING)
    result = TaskResult.objects.get(task_id=job_id)
    assert (result.status, json.loads(result.result)) == ("SUCCESS", {"sum": 3})
    job = row(job_id)
    assert result.date_created == job.created_at
    assert result.date_started == job.started_at
    assert abs((result.date_done - job.finished_at).total_seconds()) < 1


def test_a_result_that_is_there_is_replaced() -> None:
    job_id, token = running()
    lifecycle.store(result_of(job_id, "half way"), USING)
    lifecycle.succeed(job_id, token, result_of(job_id, "done"), using=USING)
    assert json.loads(TaskResult.objects.get().result) == "done"


def test_a_success_without_a_result_writes_none() -> None:
    job_id, token = running()
    assert lifecycle.succeed(job_id, token, None, using=USING)
    assert row(job_id).state == State.SUCCEEDED
    assert not TaskResult.objects.exists()


@pytest.mark.parametrize("settle", SETTLES.values(), ids=SETTLES.keys())
def test_a_late_writer_settles_nothing(settle: Callable[[str, str], Any]) -> None:
    """Its job was rescued and runs elsewhere: another token holds it."""
    job_id, old = running()
    assert lifecycle.release(job_id, old, using=USING)
    new = take(job_id).token
    before = everything(job_id)
    assert not settle(job_id, old)
    assert everything(job_id) == before
    assert settle(job_id, new)


@pytest.mark.parametrize("settle", SETTLES.values(), ids=SETTLES.keys())
@pytest.mark.parametrize("state", [state for state in State if state != State.RUNNING])
def test_a_job_that_does_not_run_can_not_be_settled(state: State, settle: Callable[[str, str], Any]) -> None:
    job_id = in_state(state)
    before = everything(job_id)
    assert not settle(job_id, "any token")
    assert everything(job_id) == before


@pytest.mark.parametrize("settle", SETTLES.values(), ids=SETTLES.keys())
def test_an_attempt_is_settled_once(settle: Callable[[str, str], Any]) -> None:
    job_id, token = running()
    assert settle(job_id, token)
    before = everything(job_id)
    assert not settle(job_id, token)
    assert everything(job_id) == before


def test_of_two_settles_that_race_one_wins() -> None:
    for _ in range(6):
        job_id, token = running()
        done, died = together(
            lambda job_id=job_id, token=token: SETTLES["succeed"](job_id, token),
            lambda job_id=job_id, token=token: SETTLES["die"](job_id, token),
        )
        assert {done, died} == {True, False}
        assert row(job_id).state == (State.SUCCEEDED if done else State.DEAD)
        assert TaskResult.objects.filter(task_id=job_id).exists() == done


def test_a_settle_that_is_rolled_back_leaves_the_job_running() -> None:
    job_id, token = running()
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        SETTLES["succeed"](job_id, token)
        raise RuntimeError
    assert row(job_id).state == State.RUNNING
    assert not TaskResult.objects.exists()
    assert SETTLES["succeed"](job_id, token)


def test_progress_is_told_by_the_holder_only() -> None:
    job_id, token = running()
    lifecycle.report_progress(job_id, token, '{"done": 1}', using=USING)
    lifecycle.report_progress(job_id, "another", '{"done": 9}', using=USING)
    assert row(job_id).progress == '{"done": 1}'


def test_a_result_by_itself_needs_no_job() -> None:
    lifecycle.store(result_of("no-such-job", 1), USING)
    lifecycle.store(result_of("no-such-job", 2), USING)
    assert json.loads(TaskResult.objects.get(task_id="no-such-job").result) == 2
    assert not Job.objects.exists()


def test_a_body_that_ran_settles_its_own_row() -> None:
    job_id = str(note.delay("word").id)
    deliver(note, job_id)
    assert row(job_id).state == State.SUCCEEDED
    assert json.loads(TaskResult.objects.get().result) == "word"
