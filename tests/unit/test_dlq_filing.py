"""Every death files one letter, in the transaction of the death."""

import pytest
from django.db import transaction

from dlq import lifecycle
from dlq.models import DeadLetter
from jobs.lifecycle import Death, Failure, die_waiting
from jobs.messages import arguments
from jobs.models import Job
from jobs.states import Reason, State
from tests.support.deaths import dead, die, posted

pytestmark = pytest.mark.django_db


def test_a_death_files_one_letter_with_everything_that_is_known() -> None:
    job_id = dead("order-7", -1)
    letter = DeadLetter.objects.get()
    assert (letter.job_id, letter.task, letter.queue) == (job_id, "process_payment", "default")
    assert arguments(letter.body) == (["order-7", -1], {})
    assert (letter.attempts, letter.reason, letter.status) == (1, Reason.NOT_RETRYABLE, "open")
    assert (letter.error, letter.message) == ("TaskFailure", "amount must be above 0")
    assert "in charge" in letter.traceback
    assert len(letter.fingerprint) == 16
    assert letter.created_at is not None
    assert letter.previous is None


def test_a_death_that_is_rolled_back_files_nothing() -> None:
    job_id = posted()
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        die(job_id)
        raise RuntimeError
    assert not DeadLetter.objects.exists()
    assert Job.objects.get(pk=job_id).state != State.DEAD


def test_a_letter_that_can_not_be_filed_undoes_the_death(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = posted()
    monkeypatch.setattr(lifecycle, "fingerprint", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        die(job_id)
    assert Job.objects.get(pk=job_id).state != State.DEAD


def test_a_second_death_files_a_letter_linked_to_the_first() -> None:
    job_id = dead()
    first = DeadLetter.objects.get()
    lifecycle.requeue([first.pk], by="ada")
    die(job_id)
    second = DeadLetter.objects.open().get()
    assert second.previous == first
    assert second.attempts == 2


def test_the_death_of_a_changed_successor_is_linked_to_its_predecessors_letter() -> None:
    dead("order-1", -1)
    first = DeadLetter.objects.get()
    (requeued,) = lifecycle.requeue([first.pk], by="ada", args=["order-1", -2])
    die(requeued.job_id)
    assert DeadLetter.objects.open().get().previous == first


def test_deaths_of_one_cause_share_a_fingerprint() -> None:
    dead("order-1", -1)
    dead("order-2", -2)
    assert len(set(DeadLetter.objects.values_list("fingerprint", flat=True))) == 1


def test_many_deaths_in_one_sweep_file_a_letter_each() -> None:
    ids = [posted(f"order-{n}", 1) for n in range(3)]
    die_waiting(ids, Reason.UNKNOWN_TASK, Failure("NotRegistered"), using="default")
    assert set(DeadLetter.objects.values_list("job_id", "reason")) == {(id_, Reason.UNKNOWN_TASK) for id_ in ids}


def test_an_id_that_its_caller_posts_again_closes_its_letter_and_may_die_again() -> None:
    job_id = dead()
    posted("order-1", -1, task_id=job_id)
    assert not DeadLetter.objects.open().exists()
    die(job_id)
    assert DeadLetter.objects.open().get().previous_id == DeadLetter.objects.earliest("pk").pk


def test_a_letter_that_was_left_open_never_stands_in_the_way_of_a_death() -> None:
    job_id = dead()
    again = Death(Job.objects.get(pk=job_id), Reason.CRASHED, "WorkerLostError", "", "")
    lifecycle.file([again], using="default")
    first, second = DeadLetter.objects.order_by("pk")
    assert (first.status, second.status, second.previous) == ("requeued", "open", first)


def test_text_that_postgresql_refuses_is_written_visibly() -> None:
    job_id = posted()
    die(job_id, message="a\x00b", traceback="c\x00d")
    letter = DeadLetter.objects.get()
    assert (letter.message, letter.traceback) == ("a\\x00b", "c\\x00d")
