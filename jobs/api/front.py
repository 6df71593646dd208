"""What stands before every endpoint: limits on the body, HEAD, and refusals that no endpoint makes."""

import functools
import json
import math
from collections.abc import Callable
from typing import Any, NoReturn, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.parser import Parser

from jobs.api.problems import problem

KIB = 1024
LARGEST_BODY = 1024 * KIB
LARGEST_BATCH = 16 * 1024 * KIB

View = Callable[..., HttpResponseBase]


class JsonParser(Parser):
    """JSON as RFC 8259 has it: NaN and Infinity are not JSON, nor is a number as large as that."""

    def parse_body(self, request: HttpRequest) -> Any:
        return json.loads(request.body, parse_constant=_refuse_constant, parse_float=_finite)


def fronted(api: NinjaAPI) -> tuple[list[URLPattern], str, str]:
    """`api.urls`, each view behind the front, and a problem for paths below the API that lead nowhere."""
    found, app_name, namespace = api.urls
    patterns = [pattern for pattern in found if isinstance(pattern, URLPattern)]
    prefixes = {str(pattern.pattern).partition("/")[0] for pattern in patterns} - {""}
    rest = re_path(rf"^(?:{'|'.join(sorted(prefixes))})(?:/.*)?$", csrf_exempt(_nowhere))
    for pattern in patterns:
        pattern.callback = _behind_the_front(cast(View, pattern.callback))
    return [*patterns, rest], app_name, namespace


def _behind_the_front(view: View) -> View:
    @functools.wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if size_refused := _without_length(request) or _too_large(request):
            return size_refused
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return problem(404, "No name or id has a NUL character.")
        if request.method == "HEAD":
            request.method = "GET"
        response = view(request, *args, **kwargs)
        if response.status_code == 405:
            allowed = response["Allow"]
            return problem(405, f"{request.method} is not possible here; {allowed} is.", Allow=allowed)
        return response

    return answer


def _without_length(request: HttpRequest) -> HttpResponse | None:
    """Django reads a body without a length as empty: a job without its arguments would be accepted."""
    if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
        return problem(411, "Send the body's length (Content-Length); chunked bodies are not taken.")
    return None


def _too_large(request: HttpRequest) -> HttpResponse | None:
    limit = LARGEST_BATCH if request.path.rstrip("/").endswith("/tasks") else LARGEST_BODY
    size = request.META.get("CONTENT_LENGTH") or "0"
    if size.isdigit() and int(size) > limit:
        return problem(413, f"The body has {int(size):,} bytes; up to {limit:,} are taken here.")
    return None


def _nowhere(request: HttpRequest) -> HttpResponse:
    return problem(404, f"Nothing is at {request.path}; /docs shows what there is.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large a number")
    return number
