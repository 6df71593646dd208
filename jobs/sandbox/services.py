"""The services that the sandbox plays, as HTTP: mail API, payment gateway, CRM."""

import json
from decimal import Decimal
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from jobs.sandbox.contacts import CONTACTS
from jobs.sandbox.faults import may_fail
from jobs.sandbox.models import Fault, GatewayCharge, SentMail

KEY_HEADER = "Idempotency-Key"


@csrf_exempt
@require_POST
@may_fail(Fault.Service.MAIL)
def mail(request: HttpRequest) -> HttpResponse:
    """Takes {to, subject, body} (html, attachments); once a key, however often it is posted."""
    posted = json.loads(request.body)
    key = request.headers.get(KEY_HEADER)
    if key and SentMail.objects.filter(key=key).update(deliveries=F("deliveries") + 1):
        return JsonResponse({"id": SentMail.objects.get(key=key).pk, "status": "duplicate"})
    sent = SentMail.objects.create(
        key=key,
        to=posted["to"],
        subject=posted["subject"],
        body=posted["body"],
        html=posted.get("html", ""),
        attachments=json.dumps(posted.get("attachments", [])),
    )
    return JsonResponse({"id": sent.pk, "status": "accepted"}, status=202)


@csrf_exempt
@require_POST
@may_fail(Fault.Service.PAYMENTS)
def post_charge(request: HttpRequest) -> HttpResponse:
    """Takes {order_id, amount}; the same key again is the same charge, with another amount a 409."""
    posted = json.loads(request.body)
    key = request.headers.get(KEY_HEADER, "")
    if not key:
        return JsonResponse({"error": f"{KEY_HEADER} is missing."}, status=400)
    wanted = {"order_id": str(posted["order_id"]), "amount": str(posted["amount"])}
    charge, new = GatewayCharge.objects.get_or_create(key=key, defaults=wanted)
    if not new:
        GatewayCharge.objects.filter(key=key).update(deliveries=F("deliveries") + 1)
    if Decimal(charge.amount) != Decimal(wanted["amount"]):
        return JsonResponse({"error": "This key was used for another amount.", **_charge(charge)}, status=409)
    return JsonResponse(_charge(charge), status=201 if new else 200)


@require_GET
@may_fail(Fault.Service.PAYMENTS)
def get_charge(request: HttpRequest, key: str) -> HttpResponse:
    """The charge under a key, or 404."""
    charge = GatewayCharge.objects.filter(key=key).first()
    return JsonResponse(_charge(charge)) if charge else JsonResponse({"error": "No such charge."}, status=404)


@require_GET
@may_fail(Fault.Service.CRM)
def contacts(request: HttpRequest) -> HttpResponse:
    """The CRM's contacts, as a list."""
    return JsonResponse(CONTACTS, safe=False)


def _charge(charge: GatewayCharge) -> dict[str, Any]:
    return {
        "id": f"ch_{charge.pk}",
        "key": charge.key,
        "order_id": charge.order_id,
        "amount": charge.amount,
        "status": "paid",
    }
