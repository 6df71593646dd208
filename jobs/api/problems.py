"""Refusals over HTTP: every one is `application/problem+json` (RFC 9457)."""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from jobs.errors import (
    DATABASE_DOWN,
    ArgumentsRefused,
    ArgumentsTooLarge,
    DatabaseAway,
    JobError,
    UnknownJob,
    UnknownQueue,
    UnknownTask,
    WrongState,
)
from jobs.posting import PostsRefused

logger = logging.getLogger(__name__)

Fault = dict[str, Any]

STATUS: dict[type[Exception], int] = {
    UnknownJob: 404,
    UnknownTask: 404,
    UnknownQueue: 404,
    WrongState: 409,
    ArgumentsRefused: 422,
    ArgumentsTooLarge: 422,
    JobError: 409,
    DataError: 422,
    RequestDataTooBig: 413,
    UnreadablePostError: 400,
    **dict.fromkeys(DATABASE_DOWN, 503),
}

#: Endpoints of one task each, whose bodies name its arguments themselves.
TYPED = ("/tasks/email", "/tasks/process-image")
FIELD_OF: dict[str | int, str] = {"image_path": "path"}

SENTENCES: dict[type[Exception], str] = {
    DataError: "The database can't store a value of this request.",
    RequestDataTooBig: "The body is too large.",
    UnreadablePostError: "The body broke off.",
    **dict.fromkeys(DATABASE_DOWN, str(DatabaseAway())),
}


class Problem(Exception):
    """A refusal of the door itself."""

    def __init__(self, status: int, detail: str, errors: Sequence[Fault] = (), **headers: str) -> None:
        self.status, self.detail, self.errors, self.headers = status, detail, list(errors), headers
        super().__init__(detail)


def problem(status: int, detail: str, errors: Sequence[Fault] = (), **headers: str) -> HttpResponse:
    """The answer; header names are written with underscores."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(json.dumps(body), status=status, content_type="application/problem+json", headers=named)


def answer_problems(api: NinjaAPI) -> None:
    """Have every refusal of this API answered as a problem, and a true bug as a logged 500."""
    answers: dict[type[Exception], Any] = {
        **dict.fromkeys(STATUS, _known),
        Problem: _own,
        HttpError: _http_error,
        ValidationError: _invalid,
        PostsRefused: _posts_refused,
        Exception: _bug,
    }
    for kind, answer in answers.items():
        api.add_exception_handler(kind, answer)


def refuse_with(kind: type[JobError], status: int) -> None:
    """Let a part above this one (the dead letters) name the status of its own refusals."""
    STATUS[kind] = status


def _own(request: HttpRequest, error: Problem) -> HttpResponse:
    return problem(error.status, error.detail, error.errors, **error.headers)


def _known(request: HttpRequest, error: Exception) -> HttpResponse:
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS)
    status, detail = STATUS[kind], SENTENCES.get(kind, str(error))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return problem(status, detail, Retry_After="5")
    return problem(status, detail, faults(error, ["body"]))


def faults(error: Exception, loc: list[str | int]) -> list[Fault]:
    """The places at fault, below `loc`."""
    if isinstance(error, ArgumentsRefused):
        return [{**fault, "loc": [*loc, *fault["loc"]]} for fault in error.errors]
    if isinstance(error, PostsRefused):
        return [fault for index, one in error.refusals for fault in faults(one, [*loc, index])]
    part = {UnknownQueue: "queue", UnknownTask: "task", ArgumentsTooLarge: "kwargs"}.get(type(error))
    return [{"loc": [*loc, part], "msg": str(error)}] if part else []


def _posts_refused(request: HttpRequest, refused: PostsRefused) -> HttpResponse:
    several = request.path.rstrip("/").endswith("/tasks")
    if several:
        return problem(422, "None of the jobs was accepted.", faults(refused, ["body", "jobs"]))
    error = refused.refusals[0][1]
    if isinstance(error, UnknownTask):
        return problem(404, str(error))
    found = faults(error, ["body"])
    typed = request.path.endswith(TYPED)
    return problem(422, str(error), [{**f, "loc": _without_kwargs(f["loc"])} for f in found] if typed else found)


def _without_kwargs(loc: list[str | int]) -> list[str | int]:
    """The place in the body of an endpoint whose fields are the task's arguments."""
    return [FIELD_OF.get(part, part) for part in loc if part != "kwargs"]


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [{"loc": _place(fault["loc"]), "msg": str(fault["msg"])} for fault in error.errors]
    said = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in errors[:3])
    return problem(422, said, errors)


def _place(loc: Sequence[Any]) -> list[str | int]:
    """The place as the caller knows it: without the name of the endpoint's own parameter."""
    source, *rest = loc
    own_name = source in ("body", "query") and rest and rest[0] in ("payload", "filters")
    return [source, *(rest[1:] if own_name else rest)]


def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return problem(401, "Send 'Authorization: Bearer TOKEN' with a valid token.", WWW_Authenticate="Bearer")
    detail = "The body is not JSON." if error.status_code == HTTPStatus.BAD_REQUEST else str(error)
    return problem(error.status_code, detail)


def _bug(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(500, "This is a fault of the server; its log says more.")
