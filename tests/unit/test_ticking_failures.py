"""So many failures in a row pause a schedule, and say so."""

import pytest
from django_celery_beat.models import PeriodicTask

from jobs import lifecycle
from jobs.models import Activity, Job, ScheduleStanding
from jobs.schedules import pressing
from tests.support.moves import NO, USING, take
from tests.support.ticking import ago, enqueued, fresh, keep, missed, outcomes, scheduled, settle, stands, ticks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row() -> PeriodicTask:
    """One that pauses after two."""
    made = scheduled()
    keep(made, pause_after=2)
    ScheduleStanding.objects.filter(pk=made.pk).update(armed_at=ago(3600))
    return made


def run(row: PeriodicTask, *, dies: bool = True) -> None:
    """One tick, whose job ends."""
    missed(row, 1)
    settle(row)
    job = enqueued(row)[-1]
    claimed = take(job.id)
    if dies:
        assert lifecycle.die(job.id, claimed.token, "not_retryable", NO, using=USING)  # type: ignore[arg-type]
    else:
        Job.objects.filter(id=job.id).update(state="succeeded")


def test_the_tick_after_them_pauses_it_and_says_why(row: PeriodicTask) -> None:
    run(row)
    run(row)
    missed(row, 1)
    settle(row)
    assert outcomes(row) == [("run", "", 1), ("run", "", 1), ("skipped", "paused", 1)]
    assert not fresh(row).enabled
    assert fresh(row).last_run_at is not None
    policy = fresh(row).policy
    assert (policy.paused_by, policy.pause_reason) == ("beat", "2 failures in a row, the last: ValueError: no")
    done = Activity.objects.get(action="pause")
    assert (done.by, done.kind, done.key, done.reason) == ("beat", "schedule", row.name, policy.pause_reason)
    assert (stands(row).next_tick, stands(row).wake_at, stands(row).armed_at) == (None, None, None)


def test_a_success_between_them_starts_the_count_again(row: PeriodicTask) -> None:
    run(row)
    run(row, dies=False)
    run(row)
    run(row, dies=False)
    assert fresh(row).enabled
    assert len(enqueued(row)) == 4


def test_jobs_that_have_not_ended_and_cancelled_ones_do_not_count(row: PeriodicTask) -> None:
    run(row)
    missed(row, 1)
    settle(row)
    Job.objects.filter(id=enqueued(row)[-1].id).update(state="cancelled")
    run(row)
    assert [tick.outcome for tick in ticks(row)] == ["run"] * 3
    missed(row, 1)
    settle(row)
    assert not fresh(row).enabled


def test_failures_before_somebody_resumed_it_no_longer_count(row: PeriodicTask) -> None:
    run(row)
    run(row)
    missed(row, 1)
    settle(row)
    pressing.resume([row.pk], "ann")
    settle(row)
    missed(row, 1)
    settle(row)
    assert [tick.outcome for tick in ticks(row)] == ["run", "run", "skipped", "run"]


def test_what_a_person_ran_by_hand_does_not_count(row: PeriodicTask) -> None:
    for _ in range(2):
        job_id = pressing.run_now(row.pk, "ann")
        claimed = take(job_id)
        assert lifecycle.die(job_id, claimed.token, "not_retryable", NO, using=USING)  # type: ignore[arg-type]
    run(row)
    assert fresh(row).enabled
