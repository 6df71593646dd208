"""Effects that must happen once: whatever runs a job again, and the key that outside services get."""

from typing import Any

import pytest

from jobs.sandbox import faults
from jobs.sandbox.models import GatewayCharge
from jobs.tasks.process_payment import process_payment
from tests.support import people
from tests.support.effect_tasks import charging
from tests.support.station import Station


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.support.effect_tasks"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with the web (the sandbox's gateway is in it), beat, and a worker."""
    station.web()
    station.beat()
    station.worker("default", concurrency=3)
    return station


def pay(order_id: str, queue: str = "default", task_id: str | None = None) -> str:
    """The id of a job that charges the order 5."""
    return str(process_payment.apply_async((order_id, 5), queue=queue, task_id=task_id).id)


def taken(order_id: str) -> list[int]:
    """How often the gateway was asked for each charge of the order."""
    return list(GatewayCharge.objects.filter(order_id=order_id).values_list("deliveries", flat=True))


def _again(station: Station, id: str, args: list[Any] | None = None) -> str:
    """A person mends and requeues the dead job; the id that runs now."""
    station.wait_state(id, "dead")
    if args is None:
        [id] = station.call(people.requeue, id)
        return id
    return station.call(people.requeue_changed, id, args)


def _keys(station: Station, order: str) -> list[str]:
    lines = [line.split() for line in station.journal()]
    return [line[2] for line in lines if line[:2] == ["key", order]]


def _charged_once(station: Station, order: str) -> None:
    assert station.journal().count(f"charge {order}") == 1
    [row] = station.sql("SELECT gateway_id FROM work_charge WHERE key = %s", order)
    assert row["gateway_id"] == f"ch_{order}"


@pytest.mark.parametrize("trouble", ["retry", "kill"])
def test_an_effect_happens_once_when_its_attempt_ends_badly_after_it(running: Station, trouble: str) -> None:
    order = f"o-{trouble}"
    id = running.post(charging, order, trouble)
    row = running.wait_state(id, "succeeded", timeout=60)
    assert (row["attempt"], row["duplicates_prevented"]) == (2, 1)
    assert running.value(id) == f"ch_{order}"
    _charged_once(running, order)
    assert _keys(running, order) == [id, id]


@pytest.mark.parametrize("changed", [False, True])
def test_an_effect_happens_once_over_a_requeue_and_the_key_stays(running: Station, changed: bool) -> None:
    order = f"o-requeued-{changed}"
    id = running.post(charging, order, "dies")
    now = _again(running, id, [order, "other words"] if changed else None)
    row = running.wait_state(now, "succeeded")
    assert (now != id, row["root_job_id"], row["duplicates_prevented"]) == (changed, id, 1)
    _charged_once(running, order)
    assert _keys(running, order) == [id, id]


def test_a_changed_successor_of_a_changed_successor_still_has_the_first_id_as_key(running: Station) -> None:
    id = running.post(charging, "o-line", "always")
    second = _again(running, id, ["o-line", "always"])
    third = _again(running, second, ["o-line"])
    running.wait_state(third, "succeeded")
    assert len({id, second, third}) == 3
    assert _keys(running, "o-line") == [id] * 3
    _charged_once(running, "o-line")


def test_a_job_that_is_posted_again_under_its_id_charges_nothing(running: Station) -> None:
    id = running.call(pay, "P-again")
    running.wait_state(id, "succeeded")
    assert running.call(pay, "P-again", task_id=id) == id
    running.wait(lambda: running.job(id)["state"] == "succeeded" and running.job(id)["duplicates_prevented"] == 1)
    assert running.call(taken, "P-again") == [1]


def test_two_payments_of_one_order_at_the_same_time_charge_it_once(running: Station) -> None:
    running.call(faults.switch_on, "payments", "slow", 1)
    ids = [running.call(pay, "P-two") for _ in range(2)]
    rows = running.wait_ended(ids, timeout=90)
    assert [row["state"] for row in rows] == ["succeeded"] * 2
    assert len(running.call(taken, "P-two")) == 1
    assert sum(row["duplicates_prevented"] for row in rows) >= 1
    answers = running.sql("SELECT status FROM work_charge WHERE order_id = %s", "P-two")
    assert answers == [{"status": "paid"}]


def test_a_payment_whose_worker_died_after_the_gateway_took_the_money_is_not_charged_again(running: Station) -> None:
    running.call(faults.switch_on, "payments", "timeout", 1)
    doomed = running.worker("payments", concurrency=1)
    id = running.call(pay, "P-killed", queue="payments")
    running.wait(lambda: running.call(taken, "P-killed") == [1], timeout=60)
    doomed.kill()
    running.worker("payments", concurrency=1)
    row = running.wait_state(id, "succeeded", timeout=60)
    assert (row["crashes"], row["attempt"], row["duplicates_prevented"]) == (1, 2, 1)
    assert running.call(taken, "P-killed") == [1]
