"""Payments: an order is charged once, whatever breaks between the gateway and us."""

from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

import httpx
from django.conf import settings
from django.utils import timezone

from jobs.errors import TaskFailure
from jobs.ledger.once import once, report_duplicate
from jobs.work import outbound
from jobs.work.models import Charge

#: Seconds for a call of the gateway.
TIMEOUT = 20
DECIMAL_PLACES = 4
LARGEST = Decimal(10) ** 15
ORDER_LENGTH = 200
#: Words of gateways for a charge that did not happen, and for one that is under way.
DECLINED = ("declined", "failed", "refused", "cancelled", "canceled")
UNFINISHED = ("pending", "processing")


class AmountRefused(TaskFailure):
    """An amount that can't be charged."""

    def __init__(self, amount: str) -> None:
        self.amount = amount
        super().__init__(amount)

    def __str__(self) -> str:
        return f"The amount {self.amount} can't be charged: give a number above 0, such as 12.50."


class OrderRefused(TaskFailure):
    """An order id that can't be a key of the gateway."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        super().__init__(order_id)

    def __str__(self) -> str:
        return f"The order id {self.order_id!r} must be 1 to {ORDER_LENGTH} printable ASCII characters."


class AlreadyCharged(TaskFailure):
    """The order was charged, with another amount."""

    def __init__(self, order_id: str, charged: str, asked: str) -> None:
        self.order_id, self.charged, self.asked = order_id, charged, asked
        super().__init__(order_id, charged, asked)

    def __str__(self) -> str:
        return f"Order {self.order_id} was already charged {self.charged}; it can't be charged {self.asked}."


class Declined(Exception):
    """The gateway says that it did not take the money; the next attempt asks whether it stays with that."""

    def __init__(self, url: str, status: str) -> None:
        self.url, self.status = url, status
        super().__init__(url, status)

    def __str__(self) -> str:
        return f"The payment gateway ({self.url}) answers that the charge is {self.status}."


class OutcomeUnknown(Exception):
    """The gateway's answer doesn't say whether it took the money."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)

    def __str__(self) -> str:
        return f"The payment gateway ({self.url}) answers no finished charge; the next attempt asks again."


def charge(order_id: str, amount: object) -> dict[str, str]:
    """Charges an order once; again with the same amount changes nothing, with another raises AlreadyCharged.

    The gateway is asked outside of any transaction, under the order's key; what it took is recorded once.
    """
    asked = amount_of(amount)
    row, new = _started(_order(order_id), asked)
    taken = {} if row.status == Charge.Status.PAID else _taken(row, asked, new)
    charged = Decimal(once(row.key, lambda: _recorded(row, **taken)))
    if charged != asked:
        raise AlreadyCharged(order_id, f"{charged.normalize():f}", f"{asked.normalize():f}")
    return {"order_id": order_id, "status": "paid"}


def amount_of(value: object) -> Decimal:
    """The exact amount of a JSON number or decimal string; AmountRefused unless it is above 0."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise AmountRefused(str(value)) from error
    if isinstance(value, bool) or not amount.is_finite() or not 0 < amount < LARGEST:
        raise AmountRefused(str(value))
    if amount != round(amount, DECIMAL_PLACES):
        raise AmountRefused(str(value))
    return amount


def _order(order_id: str) -> str:
    if not (0 < len(order_id) <= ORDER_LENGTH and order_id.isascii() and order_id.isprintable()):
        raise OrderRefused(order_id)
    return order_id


def _started(order_id: str, asked: Decimal) -> tuple[Charge, bool]:
    """The order's charge record, and whether this attempt is the first to ask for it."""
    return Charge.objects.get_or_create(key=f"payment:{order_id}", defaults={"order_id": order_id, "amount": asked})


def _taken(row: Charge, asked: Decimal, new: bool) -> dict[str, Any]:
    """The amount that the gateway took for this order, now or before, and its id of the charge."""
    with _gateway() as gateway:
        # An attempt before this one has asked for it and never learned the outcome: the gateway knows.
        known = None if new else _known(gateway, row.key)
        answer = known or _charged(gateway, row, asked)
    if known:
        report_duplicate()
    usual = row.amount if known else asked
    return {"amount": Decimal(str(answer.get("amount", usual))), "gateway_id": str(answer.get("id", ""))[:255]}


def _recorded(row: Charge, **taken: Any) -> str:
    """The amount of the order's charge, paid from now on."""
    if taken:
        paid = {**taken, "status": Charge.Status.PAID, "paid_at": timezone.now()}
        Charge.objects.filter(pk=row.pk).update(**paid)
    return f"{taken.get('amount', row.amount):f}"


def _gateway() -> httpx.Client:
    http = outbound.client(TIMEOUT, allowed=[outbound.checked_url(settings.PAYMENT_API_URL).host])
    http.base_url = httpx.URL(settings.PAYMENT_API_URL)
    return http


def _known(gateway: httpx.Client, key: str) -> dict[str, Any] | None:
    """The charge as the gateway has it; None if it has none."""
    response = gateway.get(f"/charges/{quote(key, safe='')}")
    return None if response.status_code == httpx.codes.NOT_FOUND else _answer(response)


def _charged(gateway: httpx.Client, row: Charge, asked: Decimal) -> dict[str, Any]:
    posted = {"order_id": row.order_id, "amount": f"{asked:f}"}
    response = gateway.post("/charges", json=posted, headers={"Idempotency-Key": row.key})
    return _answer(response)


def _answer(response: httpx.Response) -> dict[str, Any]:
    """The charge in the gateway's answer; Declined and OutcomeUnknown make the next attempt ask again."""
    answer = outbound.accepted(response).json()
    if not isinstance(answer, dict) or answer.get("status") in UNFINISHED:
        raise OutcomeUnknown(str(response.request.url))
    if answer.get("status") in DECLINED:
        raise Declined(str(response.request.url), answer["status"])
    return answer
