"""The rescuer ends the attempts of workers that fell silent and of jobs that outlived their lease, and no others."""

import time

import pytest
from celery.result import AsyncResult
from django_celery_results.models import TaskResult

from jobs import lifecycle
from jobs.clock.rescuer import Rescuer
from jobs.conf import conf
from jobs.lifecycle.moment import now
from jobs.models import Attempt, Job, Worker
from jobs.states import Outcome, State
from tests.plain_tasks import fail
from tests.support.moves import USING, in_state, later, row, running, together

pytestmark = pytest.mark.django_db(transaction=True)


def worker(silent: float = 0, stopped: bool = False) -> None:
    """The row of the worker that `running` claims for."""
    Worker.objects.update_or_create(
        id="w",
        defaults={
            "name": "w@here", "pid": 1, "queues": "default", "concurrency": 1, "pool": "prefork",
            "started_at": later(-999), "heartbeat_at": later(-silent), "stopped_at": later(0) if stopped else None,
        },
    )  # fmt: skip


def watching() -> Rescuer:
    """One that has been looking for a while, and saw nothing strange."""
    rescuer = Rescuer()
    rescuer.looked = now(USING)
    return rescuer


def ended_by(rescuer: Rescuer) -> list[str]:
    """The jobs whose attempts it ends in one turn."""
    return list(rescuer.rescue(USING))


def rescue() -> int:
    """How many; by one that has been looking for a while, of jobs that have run for a while."""
    Job.objects.filter(state=State.RUNNING).update(started_at=later(-conf().silence - 1))
    return len(ended_by(watching()))


def test_a_job_that_has_just_begun_is_left_alone() -> None:
    """Its worker may not have been able to write its first heartbeat yet."""
    job_id, _ = running()
    assert ended_by(watching()) == []
    assert row(job_id).state == State.RUNNING


def test_the_first_look_rescues_nobody() -> None:
    """Whoever has just taken the lead does not know for how long nobody could write a heartbeat."""
    running()
    rescuer = Rescuer()
    assert ended_by(rescuer) == []
    assert rescuer.calm_from > time.monotonic()


def test_a_machine_that_stood_still_makes_nobody_an_orphan() -> None:
    """A frozen database raises no error: its statements wait, and then every worker looks silent at once."""
    job_id, _ = running()
    rescuer = watching()
    rescuer.looked = later(-conf().rescue_every - conf().heartbeat - 1)
    assert ended_by(rescuer) == []
    assert row(job_id).state == State.RUNNING
    assert rescuer.calm_from > time.monotonic()


def test_a_job_of_a_live_worker_is_left_alone() -> None:
    worker()
    job_id, _ = running()
    assert rescue() == 0
    assert row(job_id).state == State.RUNNING


@pytest.mark.parametrize("facts", [{"silent": 999}, {"stopped": True}], ids=["silent", "stopped"])
def test_a_job_of_a_worker_that_is_gone_is_rescued(facts: dict[str, float]) -> None:
    worker(**facts)  # type: ignore[arg-type]
    job_id, _ = running()
    assert rescue() == 1
    job = row(job_id)
    assert (job.state, job.crashes, job.error) == (State.RETRYING, 1, "WorkerLostError")
    assert Attempt.objects.get(job_id=job_id).outcome == Outcome.CRASHED


def test_a_job_of_a_worker_without_a_row_is_rescued() -> None:
    job_id, _ = running()
    assert rescue() == 1
    assert row(job_id).state == State.RETRYING


def test_a_worker_is_silent_only_after_its_silence() -> None:
    worker(silent=conf().silence * 0.6)
    running()
    assert rescue() == 0


def test_a_job_that_outlived_its_lease_is_rescued_from_a_live_worker() -> None:
    worker()
    job_id, _ = running()
    Job.objects.update(lease_until=later(-1))
    assert rescue() == 1
    assert row(job_id).state == State.RETRYING


def test_the_late_worker_of_a_rescued_job_settles_nothing() -> None:
    job_id, token = running()
    rescue()
    assert not lifecycle.succeed(job_id, token, None, using=USING)
    assert row(job_id).state == State.RETRYING


def test_a_job_that_killed_three_workers_dies_with_its_result() -> None:
    job_id, _ = running()
    Job.objects.update(crashes=conf().max_crashes - 1)
    assert rescue() == 1
    assert row(job_id).state == State.DEAD
    assert TaskResult.objects.get(task_id=job_id).status == "FAILURE"
    assert AsyncResult(job_id).status == "FAILURE"


def test_a_rescued_job_that_somebody_wants_gone_is_cancelled() -> None:
    job_id, _ = running()
    Job.objects.update(cancel_requested=True)
    rescue()
    assert row(job_id).state == State.CANCELLED


@pytest.mark.parametrize("state", [state for state in State if state != State.RUNNING])
def test_nothing_that_does_not_run_is_rescued(state: State) -> None:
    job_id = in_state(state)
    assert rescue() == 0
    assert row(job_id).state == state


def test_two_rescuers_count_one_crash() -> None:
    job_id, _ = running()
    together(rescue, rescue, rescue)
    assert row(job_id).crashes == 1
    assert Attempt.objects.filter(job_id=job_id).count() == 1


def test_after_trouble_with_the_database_nobody_is_rescued_for_two_heartbeats() -> None:
    """Every worker looks silent until it could write its heartbeat again."""
    job_id, _ = running("no", task=fail)
    rescuer, calm = watching(), 2 * conf().heartbeat
    before = time.monotonic()
    rescuer.trouble()
    assert before + calm <= rescuer.calm_from <= time.monotonic() + calm
    assert ended_by(rescuer) == []
    assert row(job_id).state == State.RUNNING
    rescuer.calm_from = 0
    Job.objects.filter(id=job_id).update(started_at=later(-conf().silence - 1))
    assert ended_by(rescuer) == [job_id]


def test_a_job_that_can_not_be_rescued_does_not_keep_the_others_from_it() -> None:
    broken, fine = running()[0], running()[0]
    Job.objects.filter(id=broken).update(envelope="no envelope", started_at=later(-99))
    assert rescue() == 2
    assert (row(broken).state, row(fine).state) == (State.RUNNING, State.RETRYING)


@pytest.mark.parametrize("outage", [4, 60])
def test_no_worker_is_taken_for_dead_after_the_database_was_away(outage: float) -> None:
    """Shipped values at a tenth: its heartbeat is as old as the outage plus a heartbeat, until it has written again."""
    worker(silent=(outage + 10) / 10)
    job_id, _ = running()
    Job.objects.update(started_at=later(-99))
    rescuer, before = watching(), time.monotonic()
    rescuer.trouble()
    assert ended_by(rescuer) == []
    assert rescuer.calm_from - before > conf().heartbeat
    worker()
    rescuer.calm_from = 0
    assert ended_by(rescuer) == []
    assert row(job_id).state == State.RUNNING


def test_a_database_that_was_frozen_makes_nobody_an_orphan() -> None:
    """Nobody saw an error: all that is told is that its clock moved on between two looks."""
    worker(silent=conf().silence + 1)
    job_id, _ = running()
    Job.objects.update(started_at=later(-99))
    rescuer = watching()
    rescuer.looked = later(-conf().silence)
    assert ended_by(rescuer) == []
    worker()
    rescuer.calm_from = 0
    assert ended_by(rescuer) == []
    assert row(job_id).state == State.RUNNING


def test_a_database_that_stands_still_between_two_rescues_ends_them() -> None:
    for _ in range(3):
        running()
    Job.objects.update(started_at=later(-99))
    rescuer = watching()
    ended = rescuer.rescue(USING)
    next(ended)
    rescuer.looked = later(-conf().silence)
    assert list(ended) == []
    assert Job.objects.filter(state=State.RUNNING).count() == 2


def test_jobs_that_died_together_twice_do_not_meet_a_third_time() -> None:
    """One of them may be what kills the worker: the one that began last tries first, the other when that is over."""
    worker(silent=conf().silence + 1)
    (first, _), (last, _) = running(), running()
    Job.objects.filter(id__in=[first, last]).update(crashes=1)
    Job.objects.filter(id=first).update(started_at=later(-conf().silence - 3))
    Job.objects.filter(id=last).update(started_at=later(-conf().silence - 2))
    assert ended_by(watching()) == [first, last]
    waits = [(row(id).run_at - now(USING)).total_seconds() for id in (first, last)]
    step = conf().crash_backoff[1]
    assert waits == [pytest.approx(2 * step, abs=1), pytest.approx(step, abs=1)]
