"""Requeue: one attempt more under the same id, or a changed, linked successor."""

import pytest
from django.db import transaction

from dlq import lifecycle
from dlq.errors import LetterClosed, LetterWithoutJob, UnknownLetter
from dlq.lifecycle import Requeued
from dlq.models import DeadLetter
from jobs import operations
from jobs.errors import ArgumentsRefused, UnknownJob
from jobs.messages import arguments
from jobs.models import Activity, Job
from jobs.states import State
from tests.support.deaths import dead

pytestmark = pytest.mark.django_db


def _letter(*args: object) -> DeadLetter:
    return DeadLetter.objects.get(job_id=dead(*args))


def _nameless() -> DeadLetter:
    return lifecycle.file_undecodable(b"raw bytes", queue="emails", error="DecodeError", using="default")


def test_requeue_gives_the_same_job_one_more_attempt() -> None:
    letter = _letter()
    before = Job.objects.get(pk=letter.job_id)
    assert lifecycle.requeue([letter.pk], by="ada", reason="gateway is back") == [
        Requeued(letter.pk, str(letter.job_id))
    ]
    job = Job.objects.get(pk=letter.job_id)
    assert job.state == State.QUEUED
    assert job.max_attempts >= before.attempt + 1


def test_requeue_closes_the_letter_and_says_who_and_why() -> None:
    letter = _letter()
    lifecycle.requeue([letter.pk], by="ada", reason="gateway is back")
    letter.refresh_from_db()
    assert (letter.status, letter.closed_by, letter.close_reason) == ("requeued", "ada", "gateway is back")
    assert letter.closed_at is not None
    assert letter.replaced_by_id is None


def test_one_press_writes_one_activity_row() -> None:
    letter = _letter()
    lifecycle.requeue([letter.pk], by="ada", reason="gateway is back")
    act = Activity.objects.get()
    assert (act.by, act.action, act.kind, act.key) == ("ada", "requeue", "dead letter", str(letter.pk))
    assert act.reason == "gateway is back"
    assert act.facts == {"job": letter.job_id}


def test_requeue_with_other_arguments_makes_a_linked_job() -> None:
    letter = _letter("order-1", -1)
    (requeued,) = lifecycle.requeue([letter.pk], by="ada", args=["order-1", 12])
    new = Job.objects.get(pk=requeued.job_id)
    assert new.pk != letter.job_id
    assert (new.requeued_from_id, new.state) == (letter.job_id, State.QUEUED)
    assert arguments(new.body) == (["order-1", 12], {})
    letter.refresh_from_db()
    assert (letter.status, letter.replaced_by_id) == ("requeued", new.pk)
    assert Job.objects.get(pk=letter.job_id).state == State.DEAD
    assert Activity.objects.get().facts == {"job": letter.job_id, "replaced_by": new.pk}


def test_arguments_that_the_task_refuses_change_nothing() -> None:
    letter = _letter()
    with pytest.raises(ArgumentsRefused), transaction.atomic():
        lifecycle.requeue([letter.pk], by="ada", args=["only one"])
    letter.refresh_from_db()
    assert letter.status == "open"
    assert not Activity.objects.exists()
    assert Job.objects.count() == 1


def test_a_second_click_does_nothing() -> None:
    letter = _letter("order-1", -1)
    lifecycle.requeue([letter.pk], by="ada", args=["order-1", 5])
    with pytest.raises(LetterClosed, match="already requeued by ada"):
        lifecycle.requeue([letter.pk], by="bob", args=["order-1", 5])
    assert Job.objects.count() == 2
    assert Activity.objects.count() == 1


def test_closed_ones_among_many_are_left_out() -> None:
    first, second, third = _letter("a", -1), _letter("b", -1), _letter("c", -1)
    lifecycle.discard([second.pk], by="ada")
    ids = [first.pk, second.pk, third.pk, 999_999]
    assert [done.letter_id for done in lifecycle.requeue(ids, by="ada")] == [first.pk, third.pk]


def test_a_number_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownLetter, match="number 12"):
        lifecycle.requeue([12], by="ada")


def test_a_letter_without_a_job_can_only_be_discarded() -> None:
    letter = _nameless()
    with pytest.raises(LetterWithoutJob):
        lifecycle.requeue([letter.pk], by="ada")
    assert lifecycle.requeue([letter.pk, 999_999], by="ada") == []
    assert lifecycle.discard([letter.pk], by="ada") == [letter.pk]


def test_a_letter_whose_job_is_gone_is_not_requeued() -> None:
    letter = _letter()
    Job.objects.filter(pk=letter.job_id).delete()
    with pytest.raises(UnknownJob), transaction.atomic():
        lifecycle.requeue([letter.pk], by="ada")
    letter.refresh_from_db()
    assert letter.status == "open"


def test_a_job_requeued_by_another_door_closes_its_letter() -> None:
    letter = _letter()
    operations.requeue([str(letter.job_id)], by="bob", reason="by hand")
    letter.refresh_from_db()
    assert (letter.status, letter.closed_by, letter.close_reason) == ("requeued", "bob", "by hand")


def test_a_job_changed_by_another_door_closes_its_letter_with_the_link() -> None:
    letter = _letter("order-1", -1)
    new_id = operations.requeue_changed(str(letter.job_id), args=["order-1", 3], by="bob")
    letter.refresh_from_db()
    assert (letter.status, letter.replaced_by_id) == ("requeued", new_id)
