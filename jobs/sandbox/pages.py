"""The sandbox for people: what it received, and the switches that make it fail."""

import json
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs.sandbox import faults
from jobs.sandbox.models import Fault, GatewayCharge, SentMail

SHOWN = 50


class FaultForm(forms.Form):
    """How a service shall fail; without a mode it is well again."""

    service = forms.ChoiceField(choices=Fault.Service.choices)
    mode = forms.ChoiceField(choices=[("", "works"), *Fault.Mode.choices], required=False)
    calls = forms.IntegerField(min_value=1, max_value=10_000, required=False)


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Mails, charges and switches."""
    return render(
        request,
        "sandbox/index.html",
        {
            "mails": SentMail.objects.defer("html", "attachments")[:SHOWN],
            "charges": GatewayCharge.objects.all()[:SHOWN],
            "services": _services(),
            "modes": [("", "works"), *Fault.Mode.choices],
        },
    )


@require_GET
def read_mail(request: HttpRequest, pk: int) -> HttpResponse:
    """One mail; its HTML in a frame that can run nothing."""
    mail = get_object_or_404(SentMail, pk=pk)
    attachments = json.loads(mail.attachments)
    context = {"mail": mail, "attachments": attachments, "html": _with_pictures(mail.html, attachments)}
    return render(request, "sandbox/mail.html", context)


@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Makes a service fail, or well again."""
    form = FaultForm(request.POST)
    if not form.is_valid():
        return HttpResponse("Choose a service, how it fails, and for how many calls (1 to 10,000).", status=400)
    chosen = form.cleaned_data
    if chosen["mode"]:
        faults.switch_on(chosen["service"], chosen["mode"], chosen["calls"])
    else:
        faults.switch_off(chosen["service"])
    return redirect("sandbox:index")


def _services() -> list[dict[str, Any]]:
    now = {fault.service: fault for fault in Fault.objects.all()}
    return [{"value": value, "label": label, "fault": now.get(value)} for value, label in Fault.Service.choices]


def _with_pictures(html: str, attachments: list[dict[str, str]]) -> str:
    """The HTML with its `cid:` pictures in place."""
    for part in attachments:
        if part.get("cid"):
            html = html.replace(f"cid:{part['cid']}", f"data:{part['type']};base64,{part['content']}")
    return html
