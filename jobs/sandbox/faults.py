"""Failing on demand: a service's next calls, or all until it is switched off."""

import time
from collections.abc import Callable
from functools import wraps

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse

from jobs.sandbox.models import Fault

SLOW_SECONDS = 3
#: Longer than any caller waits.
TIMEOUT_SECONDS = 40

Mode = Fault.Mode
View = Callable[..., HttpResponse]


def switch_on(service: str, mode: str, calls: int | None = None) -> None:
    """From now on the service fails so, for this many calls or until switched off."""
    Fault.objects.update_or_create(service=service, defaults={"mode": mode, "calls_left": calls})


def switch_off(service: str) -> None:
    """The service is well again."""
    Fault.objects.filter(service=service).delete()


def may_fail(service: str) -> Callable[[View], View]:
    """The view of a service, failing as its switch says."""

    def decorated(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, **parameters: str) -> HttpResponse:
            return _failing(_next_fault(service), lambda: view(request, **parameters))

        return answer

    return decorated


def _next_fault(service: str) -> str | None:
    """How this call fails, counted down; None: it doesn't."""
    with transaction.atomic():
        fault = Fault.objects.select_for_update().filter(service=service).first()
        if fault is None:
            return None
        if fault.calls_left is not None:
            Fault.objects.filter(pk=service).update(calls_left=F("calls_left") - 1)
            Fault.objects.filter(pk=service, calls_left__lte=0).delete()
    return fault.mode


def _failing(mode: str | None, work: Callable[[], HttpResponse]) -> HttpResponse:
    match mode:
        case Mode.ERROR | Mode.BUSY | Mode.BAD:
            return JsonResponse({"error": f"The sandbox was told to answer {mode}."}, status=int(mode))
        case Mode.SLOW:
            time.sleep(SLOW_SECONDS)
            return work()
        case Mode.TIMEOUT:
            response = work()
            time.sleep(TIMEOUT_SECONDS)
            return response
        case Mode.LOST:
            work()
            return HttpResponse("The sandbox was told to lose the answer.", status=502)
    return work()
