"""Post jobs, follow them, stop them, run them again."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django_celery_results.models import TaskResult
from ninja import Field, Query, Router

from jobs import operations
from jobs.api.answers import job_detail, job_row, reply, step_detail
from jobs.api.callers import OPERATE_JOBS, VIEW_JOBS, VIEW_PAYLOAD, May
from jobs.api.cursors import page
from jobs.api.replays import once
from jobs.api.schemas import (
    AcceptedOut,
    BatchIn,
    BatchOut,
    EmailIn,
    Filters,
    ImageIn,
    JobOut,
    JobsOut,
    Moment,
    PostIn,
    RequeueIn,
    RevokedOut,
    RevokeIn,
)
from jobs.errors import UnknownJob, WrongState
from jobs.models import Job
from jobs.posting import Post, Posted, post, refuse_unfit
from jobs.states import ENDED, State

router = Router(tags=["tasks"])

LONGEST_WAIT = 30
LOOK_EVERY = 0.1
#: So many callers may wait in a process at once: its other threads stay free to answer.
waiters = threading.BoundedSemaphore(8)


class JobFilters(Filters):
    state: State | None = None
    task: str | None = None
    queue: str | None = None
    tag: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


@router.post("/email", auth=May(OPERATE_JOBS), response={202: AcceptedOut}, summary="Send an e-mail")
def post_email(request: HttpRequest, payload: EmailIn) -> HttpResponse:
    one = Post("send_email", kwargs={"to": payload.to, "subject": payload.subject, "body": payload.body})
    return once(request, lambda: _accepted(post([one])[0]))


@router.post("/process-image", auth=May(OPERATE_JOBS), response={202: AcceptedOut}, summary="Process an image")
def post_image(request: HttpRequest, payload: ImageIn) -> HttpResponse:
    one = Post("process_image", kwargs={"image_path": payload.path, "operations": payload.operations})
    return once(request, lambda: _accepted(post([one])[0]))


@router.post("", auth=May(OPERATE_JOBS), response={202: BatchOut}, summary="Post many jobs: all or none")
def post_many(request: HttpRequest, payload: BatchIn) -> HttpResponse:
    posts = [Post(**item.model_dump()) for item in payload.jobs]
    return once(request, lambda: reply({"task_ids": [posted.task_id for posted in post(posts)]}, 202))


@router.get("", auth=May(VIEW_JOBS), response=JobsOut, summary="List jobs, newest first")
def list_jobs(request: HttpRequest, filters: Query[JobFilters]) -> HttpResponse:
    rows, following = page(_filtered(filters), filters.cursor, filters.limit)
    return reply({"items": [job_row(job) for job in rows], "next": following})


@router.post("/{path:name_or_id}/revoke", auth=May(OPERATE_JOBS), response=RevokedOut, summary="Revoke a job")
def revoke_job(request: HttpRequest, name_or_id: str, payload: RevokeIn = RevokeIn()) -> HttpResponse:  # noqa: B008
    done = operations.revoke([name_or_id], by=_by(request), reason=payload.reason, terminate=payload.terminate)
    if done.unknown:
        raise UnknownJob(name_or_id)
    job = Job.objects.light().get(id=name_or_id)
    if done.ended:
        raise WrongState(job.id, job.state, "revoked")
    return reply({"task_id": job.id, "action": "revoked", "state": job.state, "cancel_requested": job.cancel_requested})


@router.post("/{path:name_or_id}/requeue", auth=May(OPERATE_JOBS), response={202: AcceptedOut}, summary="Requeue a job")
def requeue_job(request: HttpRequest, name_or_id: str, payload: RequeueIn = RequeueIn()) -> HttpResponse:  # noqa: B008
    return once(request, lambda: _requeued(name_or_id, payload, _by(request)))


@router.get("/{path:name_or_id}", auth=May(VIEW_JOBS), response=JobOut, summary="Follow a job")
def show_job(
    request: HttpRequest, name_or_id: str, wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 0
) -> HttpResponse:
    """`wait` holds the answer until the job ended, or for that many seconds; at once, while many wait."""
    unredacted = request.auth.may(VIEW_PAYLOAD)  # type: ignore[attr-defined]
    _await_end(name_or_id, wait)
    job = Job.objects.filter(id=name_or_id).first()
    if job is not None:
        return reply(job_detail(job, unredacted=unredacted))
    step = TaskResult.objects.filter(task_id=name_or_id).first()
    if step is None:
        raise UnknownJob(name_or_id)
    return reply(step_detail(step, unredacted=unredacted))


@router.post("/{path:name_or_id}", auth=May(OPERATE_JOBS), response={202: AcceptedOut}, summary="Post any task")
def post_task(request: HttpRequest, name_or_id: str, payload: PostIn = PostIn()) -> HttpResponse:  # noqa: B008
    return once(request, lambda: _accepted(post([Post(task=name_or_id, **payload.model_dump())])[0]))


def _accepted(posted: Posted) -> HttpResponse:
    """202 for a new job; 200 with the live job that has the unique key."""
    if not posted.replayed:
        return reply({"task_id": posted.task_id, "status": "queued"}, 202)
    state = Job.objects.values_list("state", flat=True).get(id=posted.task_id)
    return reply({"task_id": posted.task_id, "status": state}, 200, {"Unique-Replay": "true"})


def _requeued(job_id: str, given: RequeueIn, by: str) -> HttpResponse:
    if given.args is not None or given.kwargs is not None:
        refuse_unfit(job_id, given.args, given.kwargs)
        changed = operations.requeue_changed(job_id, args=given.args, kwargs=given.kwargs, by=by, reason=given.reason)
        return reply({"task_id": changed, "status": "queued"}, HTTPStatus.ACCEPTED)
    if not operations.requeue([job_id], by=by, reason=given.reason):
        raise _why_not_requeued(job_id)
    return reply({"task_id": job_id, "status": "queued"}, HTTPStatus.ACCEPTED)


def _why_not_requeued(job_id: str) -> UnknownJob | WrongState:
    state = Job.objects.filter(id=job_id).values_list("state", flat=True).first()
    return UnknownJob(job_id) if state is None else WrongState(job_id, state, "requeued")


def _await_end(job_id: str, wait: float) -> None:
    """Returns once the job ended or `wait` seconds have passed, or at once if too many wait already."""
    if not wait or not waiters.acquire(blocking=False):
        return
    try:
        _look_until_ended(job_id, time.monotonic() + wait)
    finally:
        waiters.release()


def _look_until_ended(job_id: str, until: float) -> None:
    """Looks at the state alone, and holds no transaction."""
    state = Job.objects.filter(id=job_id).values_list("state", flat=True)
    while (found := state.all().first()) is not None and found not in ENDED:
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(LOOK_EVERY, left))


def _filtered(filters: JobFilters) -> QuerySet[Any]:
    columns: Sequence[tuple[str, str | State | datetime | None]] = (
        ("state", filters.state),
        ("task", filters.task),
        ("queue", filters.queue),
        ("tags__tag", filters.tag),
        ("created_at__gte", filters.since),
        ("created_at__lt", filters.until),
    )
    return Job.objects.light().filter(**{name: value for name, value in columns if value is not None})


def _by(request: HttpRequest) -> str:
    return str(request.auth.name)  # type: ignore[attr-defined]
