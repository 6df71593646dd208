"""Crash: a job whose worker died waits a little longer each time, and dies when it has killed three."""

import pytest
from django.db.models import F

from jobs import lifecycle
from jobs.backoff import crash_delay
from jobs.conf import conf
from jobs.lifecycle import Failure
from jobs.models import Attempt, Job
from jobs.states import Outcome, State
from tests.support.moves import USING, later, row, running, take

pytestmark = pytest.mark.django_db(transaction=True)

LOST = Failure("WorkerLostError", "signal 9")


def crash(job_id: str, token: str) -> State | None:
    return lifecycle.crash(job_id, token, LOST, using=USING)


def test_a_crash_waits_its_backoff_and_is_counted_by_itself() -> None:
    job_id, token = running()
    assert crash(job_id, token) == State.RETRYING
    job = row(job_id)
    assert (job.state, job.attempt, job.retries, job.crashes) == (State.RETRYING, 1, 0, 1)
    assert (job.token, job.worker_id, job.lease_until) == (None, None, None)
    wait = (job.run_at - later(0)).total_seconds()
    assert wait == pytest.approx(crash_delay(1), abs=0.4)


def test_a_crash_takes_no_retry_from_the_task() -> None:
    job_id, token = running()
    allowed = row(job_id).max_attempts
    crash(job_id, token)
    assert row(job_id).max_attempts == allowed + 1


def test_a_crash_keeps_what_happened() -> None:
    job_id, token = running()
    crash(job_id, token)
    attempt = Attempt.objects.get(job_id=job_id)
    assert (attempt.number, attempt.outcome, attempt.error) == (1, Outcome.CRASHED, "WorkerLostError")


def test_the_waits_grow_and_the_last_one_repeats() -> None:
    steps = conf().crash_backoff
    assert list(steps) == sorted(steps)
    assert [crash_delay(crashes) for crashes in (1, 2, 3, 9)] == [*steps, steps[-1]]


def test_the_third_crash_is_the_callers_to_bury() -> None:
    job_id, token = running()
    Job.objects.filter(id=job_id).update(crashes=conf().max_crashes - 1)
    assert crash(job_id, token) == State.DEAD
    assert (row(job_id).state, row(job_id).crashes) == (State.RUNNING, conf().max_crashes)


def test_a_crashed_job_that_somebody_wants_gone_is_cancelled() -> None:
    job_id, token = running()
    lifecycle.request_cancel([job_id], using=USING)
    assert crash(job_id, token) == State.CANCELLED
    assert row(job_id).state == State.CANCELLED


def test_a_crash_that_comes_too_late_counts_nothing() -> None:
    job_id, token = running()
    crash(job_id, token)
    assert crash(job_id, token) is None
    assert row(job_id).crashes == 1


def test_a_crashed_job_runs_again_when_it_is_due() -> None:
    job_id, token = running()
    crash(job_id, token)
    assert lifecycle.dispatch(10, using=USING) == 0
    Job.objects.filter(id=job_id).update(run_at=F("created_at"))
    assert lifecycle.dispatch(10, using=USING) == 1
    assert take(job_id).attempt == 2
