"""Dead letters before real workers: filed, requeued, discarded; by two persons at once, too."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dlq import lifecycle
from dlq.errors import LetterClosed
from jobs.tasks.process_payment import process_payment
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with the web (the sandbox's gateway is in it), beat, and a worker for payments."""
    station.web()
    station.beat()
    station.worker("payments", concurrency=1)
    return station


def pay(order_id: str, amount: Any) -> str:
    return str(process_payment.delay(order_id, amount).id)


def requeue(letter_id: int, by: str, args: list[Any] | None = None) -> str | None:
    """The job that runs now; None when the letter was already closed."""
    try:
        return lifecycle.requeue([letter_id], by=by, reason="mended", args=args)[0].job_id
    except LetterClosed:
        return None


def discard(letter_id: int) -> list[int]:
    return lifecycle.discard([letter_id], by="ada", reason="test order")


def died(station: Station, order_id: str) -> tuple[str, dict[str, Any]]:
    """A payment of -1: its id and its letter."""
    job_id = station.call(pay, order_id, -1)
    station.wait_state(job_id, "dead")
    [letter] = station.letters(job_id)
    return job_id, letter


def test_a_payment_below_zero_is_filed_at_its_death(running: Station) -> None:
    _, letter = died(running, "order-filed")
    assert (letter["task"], letter["queue"], letter["status"]) == ("process_payment", "payments", "open")
    assert (letter["reason"], letter["error"], letter["attempts"]) == ("not_retryable", "AmountRefused", 1)
    assert "process_payment" in letter["traceback"]


def test_payments_that_die_alike_share_a_fingerprint(running: Station) -> None:
    one, two = died(running, "order-alike-1")[1], died(running, "order-alike-2")[1]
    assert one["fingerprint"] == two["fingerprint"]


def test_requeued_with_another_amount_it_succeeds_as_a_linked_job(running: Station) -> None:
    job_id, letter = died(running, "order-mended")
    new = running.call(requeue, letter["id"], "ada", ["order-mended", 5])
    assert new not in (None, job_id)
    assert running.wait_state(str(new), "succeeded")["requeued_from_id"] == job_id
    assert running.value(str(new))["status"] == "paid"
    [closed] = running.letters(job_id)
    assert (closed["status"], closed["replaced_by_id"], closed["closed_by"]) == ("requeued", new, "ada")


def test_requeued_as_it_was_it_dies_again_into_a_second_letter(running: Station) -> None:
    job_id, letter = died(running, "order-again")
    assert running.call(requeue, letter["id"], "ada") == job_id
    running.wait(lambda: len(running.letters(job_id)) == 2, what="a second letter")
    first, second = running.letters(job_id)
    assert (first["status"], second["status"], second["previous_id"]) == ("requeued", "open", first["id"])
    assert second["attempts"] == 2


def test_of_two_persons_who_press_at_once_one_wins(running: Station) -> None:
    one, two = running.console(), running.console()
    for n in range(5):
        order = f"order-raced-{n}"
        _, letter = died(running, order)
        with ThreadPoolExecutor(2) as pool:
            presses = [pool.submit(c.call, requeue, letter["id"], "ada", [order, 5]) for c in (one, two)]
            pressed = [press.result() for press in presses]
        assert pressed.count(None) == 1
        made = running.sql("SELECT id FROM jobs_job WHERE requeued_from_id = %s", letter["job_id"])
        assert [row["id"] for row in made] == [id for id in pressed if id]
        acts = running.sql("SELECT id FROM jobs_activity WHERE kind = 'dead letter' AND key = %s", str(letter["id"]))
        assert len(acts) == 1


def test_a_discarded_letter_is_kept_and_its_job_stays_dead(running: Station) -> None:
    job_id, letter = died(running, "order-discarded")
    assert running.call(discard, letter["id"]) == [letter["id"]]
    assert running.letters(job_id)[0]["status"] == "discarded"
    assert running.job(job_id)["state"] == "dead"
    assert running.call(requeue, letter["id"], "bob") is None
