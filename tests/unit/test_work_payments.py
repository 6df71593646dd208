"""Payments: an order is charged once, whatever breaks; against the sandbox's gateway over HTTP."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.db import connection

from jobs.ledger import current
from jobs.models import Effect, Job
from jobs.sandbox import faults
from jobs.sandbox.models import Fault, GatewayCharge
from jobs.work import payments
from jobs.work.models import Charge
from tests.support.deaths import claimed, posted
from tests.support.outside import Reply, Request, outside


def _run(order_id: str, amount: object) -> int:
    """A job charges the order; the duplicates that it prevented."""
    job_id = posted(order_id, amount)
    held = current.Claim(job_id, claimed(job_id), "default")
    with current.active(held):
        payments.charge(order_id, amount)
    return int(Job.objects.get(pk=job_id).duplicates_prevented)


@pytest.fixture(scope="session")
def static_root() -> None:
    """WhiteNoise warns without it."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def gateway(transactional_db: None, static_root: None, live_server: Any, settings: Any) -> None:
    """The sandbox's payment gateway is the one that the settings name."""
    settings.PAYMENT_API_URL = f"{live_server.url}/sandbox/payments"
    settings.OUTBOUND_ALLOWED_HOSTS = []


@pytest.mark.usefixtures("gateway")
def test_an_order_is_charged_under_its_key() -> None:
    assert payments.charge("A-1", "12.50") == {"order_id": "A-1", "status": "paid"}
    [taken], [row] = GatewayCharge.objects.all(), Charge.objects.all()
    assert (taken.key, taken.order_id, taken.amount) == ("payment:A-1", "A-1", "12.50")
    assert (row.key, row.amount, row.status, row.gateway_id) == (
        "payment:A-1",
        Decimal("12.5"),
        "paid",
        f"ch_{taken.pk}",
    )


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    ("amount", "sent"), [(10, "10"), (12.5, "12.5"), (0.1, "0.1"), ("1e2", "100"), (Decimal("9.99"), "9.99")]
)
def test_an_amount_is_sent_exactly(amount: object, sent: str) -> None:
    payments.charge("A-1", amount)
    assert GatewayCharge.objects.get().amount == sent


@pytest.mark.django_db
@pytest.mark.parametrize(
    "amount", [-1, 0, "0.00", -0.01, "abc", "", None, True, "NaN", "Infinity", float("nan"), "0.00001", "1e15", [], {}]
)
def test_an_amount_that_cannot_be_charged_is_refused_and_nothing_is_kept(amount: object) -> None:
    with pytest.raises(payments.AmountRefused):
        payments.charge("A-1", amount)
    assert not Charge.objects.exists()
    assert not GatewayCharge.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("order_id", ["", "A\nB", "A" * 201, "Ä-1", "\0"])
def test_an_order_id_that_cannot_be_a_key_is_refused(order_id: str) -> None:
    with pytest.raises(payments.OrderRefused):
        payments.charge(order_id, 5)


@pytest.mark.usefixtures("gateway")
def test_a_charged_order_is_not_charged_again() -> None:
    payments.charge("A-1", 5)
    assert payments.charge("A-1", "5.00") == {"order_id": "A-1", "status": "paid"}
    assert GatewayCharge.objects.get().deliveries == 1


@pytest.mark.usefixtures("gateway")
def test_the_recorded_charge_is_an_effect_that_happens_once() -> None:
    assert [_run("A-1", 5), _run("A-1", "5.00")] == [0, 1]
    assert GatewayCharge.objects.get().deliveries == 1
    assert (Effect.objects.get().key, Effect.objects.get().value) == ("payment:A-1", '"5"')


@pytest.mark.usefixtures("gateway")
def test_a_charge_that_the_gateway_took_before_is_a_duplicate_prevented() -> None:
    faults.switch_on(Fault.Service.PAYMENTS, Fault.Mode.LOST, 1)
    with pytest.raises(httpx.HTTPStatusError):
        _run("A-1", 5)
    assert not Effect.objects.exists()
    assert _run("A-1", 5) == 1
    assert GatewayCharge.objects.get().deliveries == 1


@pytest.mark.usefixtures("gateway")
def test_no_transaction_is_open_while_the_gateway_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    asked = payments._charged

    def watched(*args: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return asked(*args)

    monkeypatch.setattr(payments, "_charged", watched)
    payments.charge("A-1", 5)
    assert seen == [False]


@pytest.mark.usefixtures("gateway")
def test_an_order_that_was_paid_before_effects_were_kept_is_not_charged_again() -> None:
    payments.charge("A-1", 5)
    Effect.objects.all().delete()
    assert payments.charge("A-1", 5) == {"order_id": "A-1", "status": "paid"}
    assert GatewayCharge.objects.get().deliveries == 1


@pytest.mark.usefixtures("gateway")
def test_a_charged_order_with_another_amount_is_refused() -> None:
    payments.charge("A-1", 5)
    with pytest.raises(payments.AlreadyCharged, match="already charged 5; it can't be charged 6"):
        payments.charge("A-1", 6)


@pytest.mark.usefixtures("gateway")
def test_a_lost_answer_is_asked_for_before_charging_again() -> None:
    faults.switch_on(Fault.Service.PAYMENTS, Fault.Mode.LOST, 1)
    with pytest.raises(httpx.HTTPStatusError):
        payments.charge("A/1 x", 5)
    assert Charge.objects.get().status == "started"
    payments.charge("A/1 x", 5)
    assert GatewayCharge.objects.get().deliveries == 1
    assert Charge.objects.get().status == "paid"


@pytest.mark.usefixtures("gateway")
def test_a_charge_of_unknown_outcome_with_another_amount_is_refused_once_the_gateway_has_it() -> None:
    faults.switch_on(Fault.Service.PAYMENTS, Fault.Mode.LOST, 1)
    with pytest.raises(httpx.HTTPStatusError):
        payments.charge("A-1", 5)
    with pytest.raises(payments.AlreadyCharged):
        payments.charge("A-1", 6)
    assert Charge.objects.get().amount == 5


@pytest.mark.usefixtures("gateway")
def test_a_charge_that_never_happened_may_be_asked_for_with_another_amount() -> None:
    faults.switch_on(Fault.Service.PAYMENTS, Fault.Mode.ERROR, 1)
    with pytest.raises(httpx.HTTPStatusError):
        payments.charge("A-1", 5)
    payments.charge("A-1", 6)
    assert GatewayCharge.objects.get().amount == "6"
    assert Charge.objects.get().amount == 6


@pytest.mark.usefixtures("gateway")
def test_a_key_that_the_gateway_used_for_another_amount_is_settled_by_asking() -> None:
    GatewayCharge.objects.create(key="payment:A-1", order_id="A-1", amount="7")
    with pytest.raises(httpx.HTTPError, match="409"):
        payments.charge("A-1", 5)
    with pytest.raises(payments.AlreadyCharged):
        payments.charge("A-1", 5)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [400, 402, 403])
def test_a_refusal_of_the_gateway_is_worth_another_try(settings: Any, status: int) -> None:
    with outside() as refusing:
        settings.PAYMENT_API_URL = refusing.url()
        refusing.answer = lambda request: Reply(b'{"error": "card declined"}', status)
        with pytest.raises(httpx.HTTPError, match="card declined"):
            payments.charge("A-1", 5)
    assert Charge.objects.get().status == "started"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'{"status": "declined"}', payments.Declined),
        (b'{"status": "pending"}', payments.OutcomeUnknown),
        (b"[]", payments.OutcomeUnknown),
        (b"<html>", ValueError),
    ],
)
def test_an_answer_that_is_no_charge_pays_nothing(settings: Any, answer: bytes, error: type[Exception]) -> None:
    with outside() as odd:
        settings.PAYMENT_API_URL = odd.url()
        odd.answer = lambda request: Reply(answer)
        with pytest.raises(error):
            payments.charge("A-1", 5)
    assert Charge.objects.get().status == "started"


@pytest.mark.django_db
def test_a_timeout_of_unknown_outcome_is_asked_about_and_not_charged_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "TIMEOUT", 1)
    taken: dict[str, bytes] = {}

    def gateway(request: Request) -> Reply:
        if request.method == "POST":
            taken[request.headers["idempotency-key"]] = request.body
            time.sleep(2)
            return Reply(b'{"id": "late"}', 201)
        return Reply(b'{"id": "ch_9", "amount": "5.00"}') if taken else Reply(status=404)

    with outside() as slow:
        settings.PAYMENT_API_URL, slow.answer = slow.url("/v1"), gateway
        with pytest.raises(httpx.ReadTimeout):
            payments.charge("A-1", 5)
        assert payments.charge("A-1", 5) == {"order_id": "A-1", "status": "paid"}
        asked = [(request.method, request.path) for request in slow.requests]
    assert asked == [("POST", "/v1/charges"), ("GET", "/v1/charges/payment%3AA-1")]
    assert Charge.objects.get().gateway_id == "ch_9"
