"""Dead letters over HTTP."""

from typing import Annotated, Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from dlq import lifecycle
from dlq.answers import letter_detail, letter_row
from dlq.errors import LetterClosed, LetterWithoutJob, UnknownLetter
from dlq.models import DeadLetter
from jobs.api.answers import reply
from jobs.api.callers import VIEW_PAYLOAD, May
from jobs.api.cursors import LARGEST_KEY, page
from jobs.api.metrics import sources
from jobs.api.problems import refuse_with
from jobs.api.replays import once
from jobs.api.schemas import AcceptedOut, Filters, ReasonIn, RequeueIn
from jobs.posting import refuse_unfit
from jobs.states import Reason

router = Router(tags=["dead letters"])
refuse_with(UnknownLetter, 404)
refuse_with(LetterClosed, 409)
refuse_with(LetterWithoutJob, 409)
sources.append(
    ("dead_letters_open", "Deaths that a person must act on", lambda: [({}, DeadLetter.objects.open().count())])
)

VIEW, OPERATE = "dlq.view_deadletter", "dlq.operate_deadletter"


class LetterFilters(Filters):
    status: DeadLetter.Status | Literal["all"] = DeadLetter.Status.OPEN
    task: str | None = None
    queue: str | None = None
    error: str | None = None
    reason: Reason | None = None
    fingerprint: str | None = None
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class LetterOut(Schema):
    id: int
    task_id: str | None
    task: str
    queue: str
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    attempts: int
    reason: str
    error: str
    message: str
    fingerprint: str
    status: str
    created_at: str


class RawOut(Schema):
    """The bytes of a message that names no job, as they lay in the queue (at most a MiB)."""

    bytes: int
    text: str
    base64: str


class LetterDetailOut(LetterOut):
    traceback: str | None
    raw: RawOut | None


class LettersOut(Schema):
    items: list[LetterOut]
    next: str | None


class DiscardedOut(Schema):
    id: int
    status: str = "discarded"


@router.get("", auth=May(VIEW), response=LettersOut, summary="List dead letters, newest first")
def list_letters(request: HttpRequest, filters: Query[LetterFilters]) -> HttpResponse:
    unredacted = request.auth.may(VIEW_PAYLOAD)  # type: ignore[attr-defined]
    rows, following = page(_filtered(filters), filters.cursor, filters.limit)
    return reply({"items": [letter_row(letter, unredacted=unredacted) for letter in rows], "next": following})


@router.get("/{int:letter_id}", auth=May(VIEW), response=LetterDetailOut, summary="Show one dead letter")
def show_letter(request: HttpRequest, letter_id: int) -> HttpResponse:
    _must_be_a_number(letter_id)
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise UnknownLetter(letter_id)
    return reply(letter_detail(letter, unredacted=request.auth.may(VIEW_PAYLOAD)))  # type: ignore[attr-defined]


@router.post("/{int:letter_id}/requeue", auth=May(OPERATE), response={202: AcceptedOut}, summary="Requeue its job")
def requeue_letter(request: HttpRequest, letter_id: int, payload: RequeueIn = RequeueIn()) -> HttpResponse:  # noqa: B008
    return once(request, lambda: _requeued(letter_id, payload, request.auth.name))  # type: ignore[attr-defined]


@router.post(
    "/{int:letter_id}/discard", auth=May(OPERATE), response=DiscardedOut, summary="Discard, keeping the record"
)
def discard_letter(request: HttpRequest, letter_id: int, payload: ReasonIn = ReasonIn()) -> HttpResponse:  # noqa: B008
    _must_be_a_number(letter_id)
    lifecycle.discard([letter_id], by=request.auth.name, reason=payload.reason)  # type: ignore[attr-defined]
    return reply({"id": letter_id, "status": "discarded"})


def _requeued(letter_id: int, given: RequeueIn, by: str) -> HttpResponse:
    _must_be_a_number(letter_id)
    refuse_unfit(f"dead letter {letter_id}", given.args, given.kwargs)
    done = lifecycle.requeue([letter_id], by=by, reason=given.reason, args=given.args, kwargs=given.kwargs)
    return reply({"task_id": done[0].job_id, "status": "queued"}, 202)


def _must_be_a_number(letter_id: int) -> None:
    """Of those that a database has: a larger one names no letter."""
    if letter_id >= LARGEST_KEY:
        raise UnknownLetter(letter_id)


def _filtered(filters: LetterFilters) -> QuerySet[Any]:
    columns = ("status", "task", "queue", "error", "reason", "fingerprint")
    asked = {name: getattr(filters, name) for name in columns if getattr(filters, name) not in (None, "all")}
    return DeadLetter.objects.defer("traceback", "raw").filter(**asked)
