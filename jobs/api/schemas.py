"""What goes in and out, as the OpenAPI document shows it. Unknown fields are refused."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from django.utils import timezone
from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

CENTURY = 100 * 366 * 86_400


def _storable(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("Text with a NUL character or half a surrogate pair can't be stored")
    return text


def _iso(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise ValueError("A time is ISO 8601 text with a zone, such as 2026-03-01T09:00:00Z")
    return value


def _within_a_century(at: datetime) -> datetime:
    far = timedelta(seconds=CENTURY)
    if not timezone.now() - far < at < timezone.now() + far:
        raise ValueError("More than a hundred years away")
    return at


Text = Annotated[str, Field(strict=True), AfterValidator(_storable)]
Name = Annotated[Text, Field(min_length=1, max_length=255)]
Why = Annotated[Text, Field(max_length=500)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=CENTURY, allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, BeforeValidator(_iso), AfterValidator(_within_a_century)]
Tag = Annotated[Text, Field(min_length=1, max_length=50)]


class Given(Schema):
    """A body: a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class Filters(Schema):
    """A query: a parameter that is not known is refused, for a misspelt filter would show everything."""

    @model_validator(mode="before")
    @classmethod
    def only_known(cls, given: Any, info: ValidationInfo) -> Any:
        asked = info.context["request"].GET if info.context else {}
        if unknown := sorted(set(asked) - set(cls.model_fields)):
            raise ValueError(f"Unknown: {', '.join(unknown)}. Known: {', '.join(cls.model_fields)}")
        return given


class EmailIn(Given):
    to: Text
    subject: Text
    body: Text


class ImageIn(Given):
    path: Text
    operations: list[Text | dict[str, Any]] = Field(examples=[["resize", {"op": "compress", "quality": 70}]])


class PostIn(Given):
    """A job to be; every field may be left out. Seconds count from now; priority 9 goes first."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    queue: Name | None = None
    priority: Annotated[int, Field(strict=True, ge=0, le=9)] | None = None
    delay: Seconds | None = None
    run_at: Moment | None = None
    expires: Annotated[Seconds, Field(gt=0)] | None = None
    unique_key: Name | None = None
    tags: Annotated[list[Tag], Field(max_length=10)] = []

    @model_validator(mode="after")
    def one_time_only(self) -> "PostIn":
        if self.delay is not None and self.run_at is not None:
            raise ValueError("Give delay or run_at, not both")
        return self


class BatchItemIn(PostIn):
    task: Name


class BatchIn(Given):
    jobs: Annotated[list[BatchItemIn], Field(max_length=10_000)]


class RevokeIn(Given):
    terminate: Annotated[bool, Field(strict=True)] = False
    reason: Why = ""


class RequeueIn(Given):
    """What is given replaces that part whole; the other part is kept."""

    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    reason: Why = ""


class ReasonIn(Given):
    reason: Why = ""


class AcceptedOut(Schema):
    task_id: str
    status: str = "queued"


class BatchOut(Schema):
    task_ids: list[str]


class RevokedOut(Schema):
    task_id: str
    action: str = "revoked"
    state: str
    cancel_requested: bool


class JobRow(Schema):
    """A job in a list."""

    task_id: str
    task: str
    status: str = Field(description="Celery's word: PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED")
    state: str = Field(description="scheduled, queued, running, retrying, succeeded, dead, cancelled, expired")
    hold: str | None = Field(description="Why a queued job may not start yet: paused, limit, unknown_task, replaced")
    queue: str | None
    priority: int | None
    attempt: int | None
    max_attempts: int | None
    created_at: datetime | None
    run_at: datetime | None
    expires_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    cancel_requested: bool
    last_error: str | None = Field(description="What the last attempt that ended badly said")


class JobOut(JobRow):
    """A job. One that ended badly has `error` and `traceback` instead of `result`."""

    args: list[Any] | None
    kwargs: dict[str, Any] | None
    tags: list[str]
    unique_key: str | None
    requeued_from: str | None
    duplicates_prevented: int = Field(description="Effects that it asked for again and that were not done twice")
    progress: Any
    result: Any = None
    result_expired: bool = Field(False, description="Only there, and true, when the result is past its time")
    error: str | None = None
    traceback: str | None = None


class JobsOut(Schema):
    items: list[JobRow]
    next: str | None = Field(description="Send it as `cursor` for the page after this one; null on the last")


class QueueOut(Schema):
    name: str
    depth: int
    oldest_wait: float | None = Field(description="Seconds that the first in line has waited")
    running: int
    limit: int | None
    workers: int
    paused: bool
    paused_at: datetime | None
    paused_by: str
    pause_reason: str


class QueuesOut(Schema):
    items: list[QueueOut]


class LastTickOut(Schema):
    """The last tick, or run by hand, and what became of it."""

    at: str
    outcome: str = Field(description="run, waits, skipped")
    why: str = Field(description="of a skipped one: missed, replaced, limit, late, ended, overlap, superseded, paused")
    count: int = Field(description="so many were skipped together")
    lateness: float = Field(description="seconds from its time until beat came to it")
    job_id: str | None = Field(description="the job it enqueued, or that kept it from it")
    job_state: str = Field(description='the state of that job; "" without one')
    by: str = Field(description='who ran it by hand; "" of a tick')


class ScheduleOut(Schema):
    name: str
    task: str
    words: str
    enabled: bool
    state: str = Field(description="enabled, late, broken, paused, paused until, done, ended, disabled")
    reason: str = Field(description="why it is in that state, where there is something to say")
    next: list[str] = Field(description="the next five ticks from now on, in its own zone")
    next_tick: str | None = Field(description="the tick that beat waits for; in the past when it is late")
    late_by: float | None = Field(description="seconds since a next tick that should have come")
    last_run: str | None
    last_tick: LastTickOut | None
    resumes_at: str | None = Field(description="when a pause ends by itself")


class SchedulesOut(Schema):
    items: list[ScheduleOut]


class FaultOut(Schema):
    loc: list[str | int]
    msg: str


class ProblemOut(Schema):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultOut] | None = None
