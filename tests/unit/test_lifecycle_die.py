"""Die: a job that is dead stays so until a person acts; whoever must know is told in the same transaction."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from jobs import lifecycle
from jobs.lifecycle import Death, Failure
from jobs.models import Attempt, Job, QueueSlot
from jobs.signals import job_died
from jobs.states import DIE, Outcome, Reason, State
from tests.plain_tasks import fail, refusing
from tests.support.moves import NO, USING, deliver, in_state, queued, row, running, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def deaths() -> Iterator[list[Death]]:
    """Every death that is announced, with the state its row had at that moment."""
    told: list[Death] = []

    def listen(deaths: list[Death], using: str, **kwargs: Any) -> None:
        assert transaction.get_connection(using).in_atomic_block
        told.extend(deaths)

    job_died.connect(listen)
    yield told
    job_died.disconnect(listen)


def die(job_id: str, token: str, failure: Failure = NO, outcome: Outcome = Outcome.FAILED) -> bool:
    return lifecycle.die(job_id, token, Reason.NOT_RETRYABLE, failure, outcome=outcome, using=USING)


def test_a_death_ends_the_job_and_keeps_why() -> None:
    job_id, token = running()
    assert die(job_id, token)
    job = row(job_id)
    assert (job.state, job.error, job.message) == (State.DEAD, "ValueError", "no")
    assert (job.token, job.worker_id, job.lease_until) == (None, None, None)
    assert job.finished_at is not None


def test_a_death_is_announced_once_in_its_transaction(deaths: list[Death]) -> None:
    job_id, token = running()
    die(job_id, token)
    die(job_id, token)
    (death,) = deaths
    assert (death.job.id, death.reason) == (job_id, Reason.NOT_RETRYABLE)
    assert (death.error, death.message, death.traceback) == (NO.error, NO.message, NO.traceback)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CRASHED])
def test_the_attempt_tells_how_it_ended(outcome: Outcome) -> None:
    job_id, token = running()
    die(job_id, token, outcome=outcome)
    assert Attempt.objects.get(job_id=job_id).outcome == outcome


@pytest.mark.parametrize("text", ["a\x00b", "\udcff broken", "é" * 2000], ids=["NUL", "lone surrogate", "long"])
def test_whatever_an_error_says_can_be_kept(text: str) -> None:
    job_id, token = running()
    assert die(job_id, token, Failure("ValueError", text, f"Traceback\n{text}"))
    assert row(job_id).state == State.DEAD
    assert len(row(job_id).message) <= 500
    assert len(Attempt.objects.get().message) >= len(text)


def test_a_waiting_job_that_nobody_will_run_dies(deaths: list[Death]) -> None:
    ids = [queued(), queued()]
    died = lifecycle.die_waiting(ids, Reason.UNKNOWN_TASK, NO, using=USING)
    assert {job.id for job in died} == set(ids)
    assert {death.reason for death in deaths} == {Reason.UNKNOWN_TASK}
    assert {row(job_id).state for job_id in ids} == {State.DEAD}


@pytest.mark.parametrize("state", [state for state in State if state != State.QUEUED])
def test_no_other_job_dies_waiting(state: State, deaths: list[Death]) -> None:
    assert State.QUEUED in DIE.sources
    job_id = in_state(state)
    deaths.clear()
    assert lifecycle.die_waiting([job_id], Reason.UNKNOWN_TASK, NO, using=USING) == []
    assert row(job_id).state == state
    assert deaths == []


def test_a_death_frees_the_slot_of_a_limited_queue() -> None:
    lifecycle.set_limits(USING)
    claimed = take(queued(queue="payments"), limited=True)
    die(claimed.id, claimed.token)
    assert not QueueSlot.objects.exists()


def test_an_error_without_retries_is_not_retryable(deaths: list[Death]) -> None:
    deliver(fail, queued("no", task=fail))
    assert [death.reason for death in deaths] == [Reason.NOT_RETRYABLE]
    assert "ValueError: no" in Attempt.objects.get().traceback


def test_an_error_that_can_not_be_written_as_text_kills_its_job_all_the_same(
    deaths: list[Death], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # a test report can't hold such text either
    deliver(fail, queued("a\x00b\udcff", task=fail))
    assert Job.objects.get().state == State.DEAD
    assert len(deaths) == 1


def test_a_refused_body_is_left_to_the_workers_parent() -> None:
    """Since Celery 5.7 the parent stores the failure of `Reject(requeue=False)`."""
    job_id = queued(task=refusing)
    assert deliver(refusing, job_id).info.state == "REJECTED"
    assert row(job_id).state == State.RUNNING
