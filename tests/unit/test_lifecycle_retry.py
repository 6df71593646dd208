"""Retry: a job that asked for it waits in the table with the message it asked with."""

from typing import Any

import pytest
from django.db import transaction
from django_celery_results.models import TaskResult

from jobs import lifecycle
from jobs.messages import arguments, with_arguments
from jobs.models import Attempt
from jobs.states import Outcome, State
from jobs.tasks.send_email import send_email
from jobs.tasks.sync_data import sync_data
from tests.plain_tasks import flaky, quiet_flaky, vague, wobbly
from tests.support.moves import NO, USING, again, deliver, later, queued, row, rung, running, take
from tests.support.outside import Reply, outside
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_retry_waits_in_the_table_and_not_in_redis(bell: ValkeyServer) -> None:
    job_id, token = running()
    bell.flushall()
    at = later(60)
    assert lifecycle.retry(job_id, token, again(job_id, run_at=at), NO, using=USING)
    job = row(job_id)
    assert (job.state, job.run_at, job.rung_at) == (State.RETRYING, at, None)
    assert (job.token, job.worker_id, job.lease_until) == (None, None, None)
    assert (job.attempt, job.retries, job.crashes) == (1, 1, 0)
    assert rung(bell) == []


def test_a_retry_without_a_delay_is_queued_and_rung_at_once(bell: ValkeyServer) -> None:
    job_id, token = running()
    bell.flushall()
    assert lifecycle.retry(job_id, token, again(job_id, run_at=None), NO, using=USING)
    assert row(job_id).state == State.QUEUED
    assert rung(bell) == [job_id]
    assert take(job_id).attempt == 2


def test_a_retry_may_change_arguments_queue_and_priority() -> None:
    job_id, token = running(1, 2)
    changed = again(job_id, run_at=later(), queue="heavy", priority=7)
    changed.body = with_arguments(changed.body, [5, 6], None)
    lifecycle.retry(job_id, token, changed, NO, using=USING)
    job = row(job_id)
    assert (job.queue, job.priority) == ("heavy", 7)
    assert arguments(job.body) == ([5, 6], {})


def test_a_retry_keeps_what_went_wrong() -> None:
    job_id, token = running()
    lifecycle.retry(job_id, token, again(job_id, run_at=later()), NO, using=USING)
    attempt = Attempt.objects.get(job_id=job_id)
    assert (attempt.number, attempt.outcome, attempt.error) == (1, Outcome.RETRIED, "ValueError")
    assert attempt.traceback == NO.traceback
    assert attempt.ended_at >= attempt.started_at
    assert (row(job_id).error, row(job_id).message) == ("ValueError", "no")


@pytest.mark.parametrize(
    ("task", "args", "queue"),
    [(send_email, ("ann@example.com", "Hello", "Text"), "emails"), (sync_data, ("{url}",), "default")],
    ids=["retry", "autoretry"],
)
def test_a_retry_names_the_error_that_was_raised_also_if_it_cannot_be_pickled(
    task: Any, args: tuple[str, ...], queue: str, settings: Any
) -> None:
    with outside() as server:
        server.answer = lambda request: Reply(status=500)
        settings.MAIL_API_URL, settings.EMAIL_BACKEND = server.url(), "jobs.work.mail.ApiMailBackend"
        settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
        job_id = queued(*(arg.format(url=server.url()) for arg in args), task=task)
        deliver(task, job_id, queue)
    attempt = Attempt.objects.get(job_id=job_id)
    assert (attempt.outcome, attempt.error) == (Outcome.RETRIED, "HTTPStatusError")
    assert "500 Internal Server Error" in attempt.message
    assert "HTTPStatusError" in attempt.traceback


def test_a_retry_that_names_no_error_tells_the_one_it_met(bell: ValkeyServer) -> None:
    met, none = queued("met", task=vague), queued("none", task=quiet_flaky)
    deliver(vague, met)
    deliver(quiet_flaky, none)
    told = {attempt.job_id: (attempt.error, attempt.message) for attempt in Attempt.objects.all()}
    assert told == {met: ("ConnectionError", "met is broken"), none: ("Retry", "asked to run again")}


def test_a_retry_that_is_rolled_back_rings_nobody(bell: ValkeyServer) -> None:
    job_id, token = running()
    bell.flushall()
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        lifecycle.retry(job_id, token, again(job_id, run_at=None), NO, using=USING)
        raise RuntimeError
    assert row(job_id).state == State.RUNNING
    assert rung(bell) == []


def test_a_job_that_somebody_wants_gone_does_not_run_again() -> None:
    job_id, token = running()
    lifecycle.request_cancel([job_id], using=USING)
    assert lifecycle.retry(job_id, token, again(job_id, run_at=later()), NO, using=USING)
    assert row(job_id).state == State.CANCELLED


def test_a_task_that_asks_for_retries_gets_them_until_they_are_used_up() -> None:
    job_id = queued("flaky", 9, 0, task=flaky)
    for tries in range(3):
        assert row(job_id).state == State.QUEUED, tries
        deliver(flaky, job_id)
    job = row(job_id)
    assert (job.state, job.attempt, job.retries) == (State.DEAD, 3, 2)
    outcomes = list(Attempt.objects.filter(job_id=job_id).values_list("number", "outcome"))
    assert outcomes == [(1, Outcome.RETRIED), (2, Outcome.RETRIED), (3, Outcome.FAILED)]


def test_autoretry_waits_as_celery_computes_it() -> None:
    job_id = queued("wobbly", 1, task=wobbly)
    deliver(wobbly, job_id)
    job = row(job_id)
    assert job.state in (State.RETRYING, State.QUEUED)  # a jittered wait may be none
    assert job.retries == 1


def test_a_retry_without_results_is_a_retry_too() -> None:
    job_id = queued("quiet", task=quiet_flaky)
    deliver(quiet_flaky, job_id)
    assert row(job_id).state == State.RETRYING
    assert not TaskResult.objects.exists()
