"""What a tick does while the job of an earlier one has not ended."""

import pytest
from django_celery_beat.models import PeriodicTask

from jobs import lifecycle
from jobs.models import Job
from jobs.states import State
from tests.support.moves import NO, USING, take
from tests.support.ticking import ago, enqueued, fresh, keep, missed, outcomes, scheduled, settle, stands, ticks

pytestmark = pytest.mark.django_db(transaction=True)


def ticking(overlap: str, **policy: str) -> PeriodicTask:
    """A schedule whose first job is live."""
    row = scheduled()
    keep(row, overlap=overlap, **policy)
    tick(row)
    return row


def tick(row: PeriodicTask) -> None:
    missed(row, 1)
    settle(row)


def end(job: Job) -> None:
    """The job dies in the hands of a worker."""
    claimed = take(job.id)
    assert lifecycle.die(job.id, claimed.token, "not_retryable", NO, using=USING)  # type: ignore[arg-type]


def test_allow_runs_beside_it() -> None:
    row = ticking("allow")
    tick(row)
    assert [job.state for job in enqueued(row)] == [State.QUEUED, State.QUEUED]


def test_skip_skips_the_tick_and_names_the_job_that_kept_it_from_running() -> None:
    row = ticking("skip")
    tick(row)
    assert outcomes(row) == [("run", "", 1), ("skipped", "overlap", 1)]
    assert ticks(row)[1].job_id == enqueued(row)[0].id


def test_skip_runs_the_tick_after_its_end() -> None:
    row = ticking("skip")
    end(enqueued(row)[0])
    tick(row)
    assert outcomes(row) == [("run", "", 1), ("run", "", 1)]


def test_of_ticks_that_catch_up_together_skip_runs_one() -> None:
    row = scheduled()
    keep(row, overlap="skip", missed="all")
    missed(row, 3)
    settle(row)
    assert outcomes(row) == [("run", "", 1), *[("skipped", "overlap", 1)] * 2]


def test_queue_lets_one_wait_and_skips_those_after_it() -> None:
    row = ticking("queue")
    tick(row)
    tick(row)
    assert outcomes(row) == [("run", "", 1), ("waits", "", 1), ("skipped", "overlap", 1)]
    assert stands(row).waiting_tick == ticks(row)[1].at
    assert len(enqueued(row)) == 1


def test_what_waits_runs_as_soon_as_no_job_of_the_schedule_is_live() -> None:
    row = ticking("queue")
    tick(row)
    end(enqueued(row)[0])
    settle(row)
    assert outcomes(row) == [("run", "", 1), ("run", "", 1)]
    assert ticks(row)[1].job_id == enqueued(row)[1].id
    assert stands(row).waiting_tick is None
    assert fresh(row).total_run_count == 2


def test_what_waits_runs_once_however_often_it_is_looked_at() -> None:
    row = ticking("queue")
    tick(row)
    end(enqueued(row)[0])
    settle(row)
    settle(row)
    assert len(enqueued(row)) == 2


def test_cancel_cancels_a_waiting_job_and_runs_at_once() -> None:
    row = ticking("cancel")
    tick(row)
    assert [job.state for job in enqueued(row)] == [State.CANCELLED, State.QUEUED]
    assert outcomes(row) == [("run", "", 1), ("run", "", 1)]


def test_cancel_waits_for_a_running_job_to_be_stopped() -> None:
    row = ticking("cancel")
    take(enqueued(row)[0].id)
    tick(row)
    assert outcomes(row) == [("run", "", 1), ("waits", "", 1)]
    [job] = enqueued(row)
    assert job.cancel_requested


def test_with_cancel_the_latest_tick_counts() -> None:
    row = ticking("cancel")
    claimed = take(enqueued(row)[0].id)
    tick(row)
    tick(row)
    assert outcomes(row) == [("run", "", 1), ("skipped", "superseded", 1), ("waits", "", 1)]
    assert lifecycle.die(claimed.id, claimed.token, "not_retryable", NO, using=USING)  # type: ignore[arg-type]
    settle(row)
    assert outcomes(row)[2] == ("run", "", 1)
    assert len(enqueued(row)) == 2


def test_of_ticks_that_catch_up_together_cancel_runs_the_last() -> None:
    row = scheduled()
    keep(row, overlap="cancel", missed="all")
    missed(row, 3)
    settle(row)
    assert outcomes(row) == [*[("skipped", "superseded", 1)] * 2, ("run", "", 1)]


def test_a_schedule_that_is_switched_off_runs_nothing_that_waited() -> None:
    row = ticking("queue")
    tick(row)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
    end(enqueued(row)[0])
    settle(row)
    assert outcomes(row) == [("run", "", 1), ("skipped", "paused", 1)]
    assert stands(row).waiting_tick is None
    assert len(enqueued(row)) == 1


def test_a_one_off_that_waits_is_over_when_it_has_run() -> None:
    row = scheduled(one_off=True)
    keep(row, overlap="queue")
    Job.objects.filter(id=_posted_by_hand(row)).update(schedule=row.name)
    tick(row)
    assert (outcomes(row), fresh(row).enabled, stands(row).next_tick) == ([("waits", "", 1)], True, None)
    end(enqueued(row)[0])
    settle(row)
    assert (outcomes(row), fresh(row).enabled) == ([("run", "", 1)], False)


def _posted_by_hand(row: PeriodicTask) -> str:
    other = scheduled("another")
    tick(other)
    return enqueued(other)[0].id


def test_what_waits_is_given_up_when_its_schedule_ends() -> None:
    row = ticking("queue")
    tick(row)
    PeriodicTask.objects.filter(pk=row.pk).update(expires=ago(0.01))
    settle(row)
    assert outcomes(row) == [("run", "", 1), ("skipped", "ended", 1)]
    assert (fresh(row).enabled, stands(row).waiting_tick, stands(row).wake_at) == (False, None, None)
    end(enqueued(row)[0])
    settle(row)
    assert len(enqueued(row)) == 1
