"""Enqueue: the row is the acceptance; it is inserted in the caller's transaction, once, whole, in order."""

import uuid

import pytest
from celery import current_app, group
from django.db import transaction

from jobs import lifecycle
from jobs.errors import ArgumentsTooLarge, UnknownQueue
from jobs.ledger.publish import collecting
from jobs.messages import arguments
from jobs.models import Job, JobTag
from jobs.states import ENDED, LIVE, State
from tests.plain_tasks import add, echo
from tests.support.moves import USING, hints, in_state, later, queued, row, rung, running, take, together
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_posted_job_is_queued_and_rung(bell: ValkeyServer) -> None:
    job = row(queued(1, 2, priority=3))
    assert (job.state, job.hold, job.attempt, job.retries, job.crashes) == (State.QUEUED, "", 0, 0, 0)
    assert (job.task, job.queue, job.priority) == (add.name, "default", 3)
    assert arguments(job.body) == ([1, 2], {})
    assert job.rung_at is not None
    assert job.root_job_id == job.id
    assert rung(bell) == [job.id]


def test_a_job_for_later_waits_in_the_table_and_is_not_rung(bell: ValkeyServer) -> None:
    job = row(queued(countdown=60))
    assert (job.state, job.rung_at) == (State.SCHEDULED, None)
    assert 55 < (job.run_at - job.created_at).total_seconds() <= 61
    assert rung(bell) == []


def test_a_time_that_has_passed_means_now(bell: ValkeyServer) -> None:
    job_id = queued(eta=later(-5))
    assert row(job_id).state == State.QUEUED
    assert rung(bell) == [job_id]


def test_a_rolled_back_enqueue_leaves_nothing(bell: ValkeyServer) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        queued()
        raise RuntimeError
    assert not Job.objects.exists()
    assert rung(bell) == []


@pytest.mark.parametrize("job_id", ["order-4711", "ключ 1", "x" * 255, "a'b\"c%s"])
def test_any_text_is_an_id(job_id: str) -> None:
    assert queued(task_id=job_id) == job_id
    assert take(job_id).id == job_id


@pytest.mark.parametrize("state", LIVE)
def test_an_id_that_is_posted_again_while_its_job_lives_is_that_job(state: State, bell: ValkeyServer) -> None:
    job_id = in_state(state)
    bell.flushall()
    before = Job.objects.filter(id=job_id).values().get()
    assert queued(40, 2, task_id=job_id) == job_id
    assert Job.objects.filter(id=job_id).values().get() == before
    assert rung(bell) == []


@pytest.mark.parametrize("state", ENDED)
def test_an_ended_id_that_a_caller_posts_again_runs_again(state: State, bell: ValkeyServer) -> None:
    job_id = in_state(state)
    bell.flushall()
    assert queued(40, 2, task_id=job_id) == job_id
    job = row(job_id)
    assert (job.state, job.attempt, job.finished_at) == (State.QUEUED, 0, None)
    assert arguments(job.body) == ([40, 2], {})
    assert rung(bell) == [job_id]


@pytest.mark.parametrize("state", ENDED)
def test_what_a_worker_posts_again_is_dropped(state: State) -> None:
    job_id = in_state(state)
    lifecycle.enqueue([row(job_id)], by_worker=True, using=USING)
    assert row(job_id).state == state


def test_an_id_twice_in_one_batch_is_one_job(bell: ValkeyServer) -> None:
    with collecting():
        queued(task_id="twice", tags=["a"])
        queued(3, 4, task_id="twice", tags=["a"])
    assert arguments(row("twice").body) == ([1, 2], {})
    assert rung(bell) == ["twice"]


def test_a_unique_key_answers_with_the_job_that_lives() -> None:
    first = queued(unique_key="k")
    assert queued(unique_key="k") == first
    assert Job.objects.count() == 1


def test_a_unique_key_belongs_to_its_task() -> None:
    assert queued(unique_key="k") != queued(task=echo, unique_key="k")


@pytest.mark.parametrize("state", ENDED)
def test_a_unique_key_is_free_when_its_job_has_ended(state: State) -> None:
    first = in_state(state)
    Job.objects.filter(id=first).update(unique_key="k")
    assert queued(unique_key="k") != first


def test_a_unique_key_twice_in_one_batch_is_one_job() -> None:
    with collecting() as batch:
        first, second = queued(unique_key="k"), queued(unique_key="k")
    assert batch.posted == {first: first, second: first}
    assert Job.objects.count() == 1


def test_of_many_racing_posts_with_one_unique_key_one_is_inserted() -> None:
    answers = together(*[lambda: queued(unique_key="k")] * 6)
    assert {str(answer) for answer in answers} == {row(str(answers[0])).id}
    assert Job.objects.count() == 1


def test_of_many_racing_posts_of_one_id_one_is_inserted() -> None:
    assert together(*[lambda: queued(task_id="raced")] * 6) == ["raced"] * 6
    assert Job.objects.count() == 1


def test_an_unknown_queue_is_refused_with_the_setting_that_declares_it() -> None:
    with pytest.raises(UnknownQueue, match="JOBS_QUEUES=nowhere:4"):
        queued(queue="nowhere")
    assert not Job.objects.exists()


def test_a_group_with_one_refused_member_inserts_none() -> None:
    with pytest.raises(UnknownQueue):
        group(add.s(1, 1), add.s(2, 2).set(queue="nowhere")).apply_async()
    assert not Job.objects.exists()


def test_arguments_that_are_too_large_are_refused() -> None:
    with pytest.raises(ArgumentsTooLarge, match="pass its key"):
        queued("x" * 1_100_000, task=echo)
    assert not Job.objects.exists()


def test_large_arguments_are_taken_with_a_warning() -> None:
    with pytest.warns(ResourceWarning, match="pass its key"):
        job_id = queued("x" * 70_000, task=echo)
    assert arguments(row(job_id).body) == (["x" * 70_000], {})


def test_a_job_of_a_paused_queue_is_held_and_not_rung(bell: ValkeyServer) -> None:
    lifecycle.pause("default", by="ada", using=USING)
    assert row(queued()).hold == "paused"
    assert rung(bell) == []


def test_many_jobs_keep_their_order_of_acceptance(bell: ValkeyServer) -> None:
    with collecting():
        posted = [queued() for _ in range(700)]
    accepted = Job.objects.order_by("created_at").values_list("id", "created_at")
    assert [job_id for job_id, _ in accepted] == posted
    assert len({at for _, at in accepted}) == 700
    assert rung(bell) == posted


def test_tags_are_kept_once_each() -> None:
    job_id = queued(tags=["eu", "night", "eu"])
    assert set(JobTag.objects.filter(job_id=job_id).values_list("tag", flat=True)) == {"eu", "night"}


def test_an_expiry_stands_in_the_row_and_not_in_the_hint(bell: ValkeyServer) -> None:
    job = row(queued(expires=90))
    (hint,) = hints(bell)
    assert 85 < (job.expires_at - job.created_at).total_seconds() <= 91
    assert (hint["headers"]["expires"], hint["headers"]["eta"]) == (None, None)


def test_a_task_that_nobody_here_knows_is_accepted_by_name() -> None:
    job_id = current_app.send_task("elsewhere.task", task_id=str(uuid.uuid4())).id
    assert (row(job_id).task, row(job_id).max_attempts) == ("elsewhere.task", None)


def test_a_task_counts_its_retries_as_attempts() -> None:
    job_id, _ = running()
    assert row(job_id).max_attempts == add.max_retries + 1
