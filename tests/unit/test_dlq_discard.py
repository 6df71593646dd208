"""Discard: closed for good, the record kept; and what is pruned."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dlq import lifecycle
from dlq.errors import LetterClosed, UnknownLetter
from dlq.models import DeadLetter
from jobs import retention
from jobs.models import Activity, Job
from jobs.states import State
from tests.support.deaths import dead

pytestmark = pytest.mark.django_db


def _letter(*args: object) -> DeadLetter:
    return DeadLetter.objects.get(job_id=dead(*args))


def _long_ago() -> None:
    then = timezone.now() - timedelta(days=31)
    Job.objects.update(finished_at=then)
    DeadLetter.objects.exclude(closed_at=None).update(closed_at=then)


def test_discard_keeps_the_record_and_leaves_the_job_dead() -> None:
    letter = _letter()
    assert lifecycle.discard([letter.pk], by="ada", reason="test order") == [letter.pk]
    letter.refresh_from_db()
    assert (letter.status, letter.closed_by, letter.close_reason) == ("discarded", "ada", "test order")
    assert Job.objects.get(pk=letter.job_id).state == State.DEAD
    act = Activity.objects.get()
    assert (act.by, act.action, act.kind, act.key, act.reason) == (
        "ada", "discard", "dead letter", str(letter.pk), "test order",
    )  # fmt: skip


def test_a_second_click_does_nothing() -> None:
    letter = _letter()
    lifecycle.discard([letter.pk], by="ada")
    with pytest.raises(LetterClosed, match="already discarded by ada"):
        lifecycle.discard([letter.pk], by="bob")
    assert Activity.objects.count() == 1


def test_of_many_only_the_open_ones_are_discarded() -> None:
    first, second = _letter("a", -1), _letter("b", -1)
    lifecycle.requeue([first.pk], by="ada")
    assert lifecycle.discard([first.pk, second.pk], by="ada") == [second.pk]


def test_a_number_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownLetter):
        lifecycle.discard([12], by="ada")


def test_closed_letters_are_pruned_after_their_time_with_their_jobs() -> None:
    letter = _letter()
    lifecycle.discard([letter.pk], by="ada")
    _long_ago()
    retention.prune()
    assert not DeadLetter.objects.exists()
    assert not Job.objects.exists()


def test_open_letters_and_their_jobs_are_never_pruned() -> None:
    letter = _letter()
    _long_ago()
    retention.prune()
    assert DeadLetter.objects.get() == letter
    assert Job.objects.filter(pk=letter.job_id).exists()
