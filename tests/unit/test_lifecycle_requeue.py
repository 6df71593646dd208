"""Requeue: what ended badly gets one more attempt under its own id, once, however often the button is pressed."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import chord
from django.db import transaction
from django_celery_results.models import ChordCounter, TaskResult

from jobs import lifecycle
from jobs.messages import arguments
from jobs.models import Job
from jobs.signals import job_requeued
from jobs.states import REQUEUEABLE, Hold, State
from tests.plain_tasks import add, breakable, note, total, write
from tests.support.moves import USING, deliver, in_state, later, queued, row, rung, take, together
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """Every requeue that is announced."""
    heard: list[dict[str, Any]] = []

    def listen(**facts: Any) -> None:
        heard.append(facts)

    job_requeued.connect(listen)
    yield heard
    job_requeued.disconnect(listen)


def requeue(*ids: str) -> list[str]:
    return lifecycle.requeue(ids, by="ada", reason="mended", using=USING)


@pytest.mark.parametrize("state", REQUEUEABLE)
def test_a_job_that_ended_badly_is_queued_and_rung(state: State, bell: ValkeyServer) -> None:
    job_id = in_state(state)
    bell.flushall()
    assert requeue(job_id) == [job_id]
    job = row(job_id)
    assert (job.state, job.hold, job.finished_at, job.expires_at) == (State.QUEUED, Hold.NONE, None, None)
    assert (job.error, job.message, job.cancel_requested) == ("", "", False)
    assert rung(bell) == [job_id]


@pytest.mark.parametrize("state", [state for state in State if state not in REQUEUEABLE])
def test_no_other_job_is_requeued(state: State, bell: ValkeyServer, told: list[dict[str, Any]]) -> None:
    job_id = in_state(state)
    bell.flushall()
    before = Job.objects.filter(id=job_id).values().get()
    assert requeue(job_id, "unknown") == []
    assert Job.objects.filter(id=job_id).values().get() == before
    assert rung(bell) == []
    assert told == []


def test_a_requeue_allows_one_attempt_more() -> None:
    job_id = in_state(State.DEAD)
    Job.objects.filter(id=job_id).update(attempt=4, max_attempts=4)
    requeue(job_id)
    assert row(job_id).max_attempts == 5
    assert take(job_id).attempt == 5


def test_a_requeued_job_has_the_message_it_had() -> None:
    job_id = in_state(State.DEAD)
    before = row(job_id)
    requeue(job_id)
    after = row(job_id)
    assert (after.body, after.envelope, after.created_at) == (before.body, before.envelope, before.created_at)
    assert arguments(take(job_id).body) == ([1, 2], {})


def test_of_two_requeues_that_race_one_wins(bell: ValkeyServer) -> None:
    for _ in range(6):
        job_id = in_state(State.DEAD)
        bell.flushall()
        answers = together(*[lambda job_id=job_id: requeue(job_id)] * 3)
        assert sorted(len(answer) for answer in answers if isinstance(answer, list)) == [0, 0, 1]
        assert rung(bell) == [job_id]


def test_many_are_requeued_and_rung_in_the_order_of_acceptance(bell: ValkeyServer) -> None:
    ids = [in_state(State.DEAD) for _ in range(5)]
    bell.flushall()
    assert requeue(*reversed(ids)) == ids
    assert rung(bell) == ids


def test_a_requeue_into_a_paused_queue_is_held(bell: ValkeyServer) -> None:
    job_id = in_state(State.DEAD)
    lifecycle.pause("default", by="ada", using=USING)
    bell.flushall()
    assert requeue(job_id) == [job_id]
    assert row(job_id).hold == Hold.PAUSED
    assert rung(bell) == []


def test_a_requeue_is_told_once_with_who_and_why(told: list[dict[str, Any]]) -> None:
    ids = [in_state(State.DEAD), in_state(State.CANCELLED)]
    requeue(*ids)
    (facts,) = told
    assert (facts["job_ids"], facts["by"], facts["reason"], facts["replaced_by"]) == (ids, "ada", "mended", {})


def test_a_requeued_cancelled_job_waits_no_longer_for_its_time() -> None:
    job_id = queued(countdown=3600)
    lifecycle.cancel_waiting([job_id], using=USING)
    requeue(job_id)
    assert (row(job_id).state, row(job_id).run_at) == (State.QUEUED, None)


def test_an_expired_job_that_is_requeued_does_not_expire_again() -> None:
    job_id = in_state(State.EXPIRED)
    requeue(job_id)
    assert lifecycle.expire(using=USING) == []
    assert row(job_id).expires_at is None


def test_a_job_whose_unique_key_lives_in_another_is_left_out() -> None:
    dead, other = in_state(State.DEAD), in_state(State.DEAD)
    Job.objects.filter(id=dead).update(unique_key="k")
    twin = queued(unique_key="k")
    assert requeue(dead, other) == [other]
    assert (row(dead).state, row(twin).state) == (State.DEAD, State.QUEUED)


def test_of_two_dead_jobs_with_one_unique_key_the_first_is_requeued() -> None:
    ids = [in_state(State.DEAD), in_state(State.DEAD)]
    Job.objects.filter(id__in=ids).update(unique_key="k")
    assert requeue(*ids) == ids[:1]


def test_an_id_posted_again_while_its_unique_key_lives_in_another_is_left_alone() -> None:
    first = queued(unique_key="k")
    lifecycle.cancel_waiting([first], using=USING)
    twin = queued(unique_key="k")
    assert queued(task_id=first, unique_key="k") == twin
    assert row(first).state == State.CANCELLED


def test_a_requeued_member_completes_its_chord() -> None:
    body = chord([add.s(1, 2), breakable.s("chord of the requeue test", 4)])(total.s())
    members = list(Job.objects.filter(group_id__isnull=False).order_by("created_at"))
    deliver(add, members[0].id)
    deliver(breakable, members[1].id)
    assert row(members[1].id).state == State.DEAD
    assert ChordCounter.objects.get().count == 0
    write("mended chord of the requeue test")
    assert requeue(members[1].id) == [members[1].id]
    deliver(breakable, members[1].id)
    deliver(total, body.id)
    assert TaskResult.objects.get(task_id=body.id).result == "7"


def test_a_requeue_of_nothing_does_nothing(told: list[dict[str, Any]]) -> None:
    assert requeue() == []
    assert told == []


def test_a_changed_successor_is_told_as_such(told: list[dict[str, Any]]) -> None:
    old, new = in_state(State.DEAD), queued("word", task=note)
    with transaction.atomic():
        lifecycle.succeed_by(row(old), new, by="ada", using=USING)
    assert told[0]["replaced_by"] == {old: new}
    assert row(old).state == State.DEAD


def test_an_id_posted_again_for_later_waits_for_its_time(bell: ValkeyServer) -> None:
    job_id = in_state(State.DEAD)
    bell.flushall()
    queued(task_id=job_id, eta=later(60))
    assert (row(job_id).state, row(job_id).rung_at) == (State.SCHEDULED, None)
    assert rung(bell) == []
