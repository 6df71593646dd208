"""once(key, effect): done once with a row that keeps its value, whoever asks, and whatever breaks."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.urls import reverse

from jobs import lifecycle, retention
from jobs.ledger import current
from jobs.ledger.once import KeyRefused, ValueRefused, idempotency_key, once, report_duplicate
from jobs.lifecycle import Failure
from jobs.models import Effect, Job
from jobs.states import Reason
from jobs.work.models import Charge
from tests.support.api import ApiCaller
from tests.support.deaths import claimed, posted
from tests.support.people import browser, requeue, requeue_changed

pytestmark = pytest.mark.django_db(transaction=True)


def _refused_by(effect: Callable[[], Any]) -> None:
    """An effect that writes, and then raises what is expected."""
    with pytest.raises(ZeroDivisionError):
        once("k", effect)


def _book(name: str = "booked") -> str:
    Charge.objects.create(key=name, order_id=name, amount=1)
    return name


def _book_and_fail() -> None:
    _book()
    raise ZeroDivisionError


@pytest.fixture
def held() -> current.Claim:
    """A running job, as the worker that runs it holds it."""
    job_id = posted()
    return current.Claim(job_id, claimed(job_id), "default", root_job_id="the-root")


def test_the_first_does_it_and_the_second_gets_its_value() -> None:
    effect = iter([{"n": 1}])
    assert [once("k", lambda: next(effect)) for _ in range(3)] == [{"n": 1}] * 3
    row = Effect.objects.get()
    assert (row.key, row.job_id, row.value) == ("k", None, '{"n": 1}')
    assert row.made_at is not None


def test_other_keys_are_other_effects() -> None:
    assert [once(key, lambda key=key: key) for key in ("a", "b", "A")] == ["a", "b", "A"]


def test_the_value_is_the_same_the_first_time_and_later() -> None:
    assert [once("k", lambda: (1, None)) for _ in range(2)] == [[1, None]] * 2


def test_an_effect_that_raises_leaves_nothing_and_may_be_tried_again() -> None:
    _refused_by(_book_and_fail)
    assert not Effect.objects.exists()
    assert not Charge.objects.exists()
    assert once("k", _book) == "booked"


def test_a_value_that_json_cannot_hold_undoes_the_effect() -> None:
    with pytest.raises(ValueRefused, match=r"was undone\. Return text, numbers"):
        once("k", lambda: [_book(), object()])
    assert not Effect.objects.exists()
    assert not Charge.objects.exists()


@pytest.mark.parametrize("key", ["", "k" * 256, "a\0b", "\ud800", 7, None])
def test_a_key_that_no_row_can_have_is_refused(key: Any) -> None:
    with pytest.raises(KeyRefused, match="text of 1 to 255 characters"):
        once(key, _book)
    assert not Charge.objects.exists()


def test_the_longest_key_is_taken() -> None:
    assert [once("ü" * 255, lambda: 1), once("ü" * 255, lambda: 2)] == [1, 1]


def test_in_a_transaction_of_the_callers_it_joins_it() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        once("k", _book)
        raise RuntimeError
    assert not Effect.objects.exists()
    assert not Charge.objects.exists()


def test_one_that_raises_in_a_transaction_of_the_callers_leaves_that_usable() -> None:
    with transaction.atomic():
        _book("before")
        _refused_by(_book_and_fail)
        assert once("k", lambda: _book("after")) == "after"
    assert set(Charge.objects.values_list("key", flat=True)) == {"before", "after"}


@pytest.mark.parametrize(("first_fails", "done_by"), [(False, "first"), (True, "second")])
def test_of_two_at_the_same_moment_the_second_waits_for_the_first(first_fails: bool, done_by: str) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def first() -> str:
        inside.set()
        assert go_on.wait(20)
        if first_fails:
            raise ZeroDivisionError
        return "first"

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(_closing, lambda: once("k", first))
        assert inside.wait(20)
        two = threads.submit(_closing, lambda: once("k", lambda: "second"))
        with pytest.raises(TimeoutError):
            two.result(timeout=0.5)
        go_on.set()
        assert two.result(timeout=20) == done_by
        assert (type(one.exception(timeout=20)) is ZeroDivisionError) is first_fails
    assert Effect.objects.get().value == f'"{done_by}"'


def _closing(act: Callable[[], Any]) -> Any:
    try:
        return act()
    finally:
        connection.close()


def test_the_job_that_asks_again_counts_a_duplicate_prevented(held: current.Claim) -> None:
    with current.active(held):
        for _ in range(3):
            once("k", lambda: 1)
    assert Job.objects.get().duplicates_prevented == 2
    assert Effect.objects.get().job_id == held.id


def test_in_a_transaction_of_the_callers_it_is_counted_after_the_commit(held: current.Claim) -> None:
    once("k", lambda: 1)
    with current.active(held), transaction.atomic():
        once("k", lambda: 2)
        assert Job.objects.get().duplicates_prevented == 0
    assert Job.objects.get().duplicates_prevented == 1


def test_a_late_writer_counts_nothing(held: current.Claim) -> None:
    held.token = "another"
    with current.active(held):
        report_duplicate()
    assert Job.objects.get().duplicates_prevented == 0


def test_outside_a_worker_nothing_is_counted() -> None:
    report_duplicate()
    assert [once("k", lambda: 1), once("k", lambda: 2)] == [1, 1]


def test_the_count_outlives_a_requeue(held: current.Claim) -> None:
    with current.active(held):
        report_duplicate()
    lifecycle.die(held.id, held.token, Reason.NOT_RETRYABLE, Failure("E"), using="default")
    requeue(held.id)
    assert Job.objects.get().duplicates_prevented == 1


def test_a_changed_successor_begins_with_none(held: current.Claim) -> None:
    with current.active(held):
        report_duplicate()
    lifecycle.die(held.id, held.token, Reason.NOT_RETRYABLE, Failure("E"), using="default")
    new = requeue_changed(held.id, ["order-1", 2])
    assert Job.objects.get(pk=new).duplicates_prevented == 0


def test_outside_services_get_the_root_id_as_key(held: current.Claim) -> None:
    with current.active(held):
        assert idempotency_key() == idempotency_key() == "the-root"


def test_outside_a_worker_each_call_is_a_request_of_its_own() -> None:
    assert idempotency_key() != idempotency_key()


def test_effects_are_kept_for_ever() -> None:
    once("k", lambda: 1)
    Effect.objects.update(made_at="2001-01-01T00:00:00Z")
    retention.prune()
    assert once("k", lambda: 2) == 1


# --- where it is shown ---


def test_the_console_the_api_and_the_command_show_the_count(held: current.Claim, capsys: Any) -> None:
    with current.active(held):
        report_duplicate()
    page = browser("view").get(reverse("admin:jobs_job_change", args=[held.id])).content.decode()
    assert re.search(r"Duplicates prevented:</label>\s*<div class=\"readonly\">1</div>", page)
    assert ApiCaller("view").get(f"/tasks/{held.id}").json()["duplicates_prevented"] == 1
    call_command("jobs", "show", held.id)
    assert re.search(r"duplicates_prevented +1\n", capsys.readouterr().out)
