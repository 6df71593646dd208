"""The queues: how long their lines are, and stopping and starting them."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from jobs import operations
from jobs.api.answers import reply
from jobs.api.callers import OPERATE_QUEUES, VIEW_QUEUES, May
from jobs.api.schemas import QueueOut, QueuesOut, ReasonIn
from jobs.errors import UnknownQueue
from jobs.figures import queue_figures
from jobs.queues import declared

router = Router(tags=["queues"])


@router.get("", auth=May(VIEW_QUEUES), response=QueuesOut, summary="Show the queues")
def list_queues(request: HttpRequest) -> HttpResponse:
    return reply({"items": queue_figures()})


@router.post("/{name}/pause", auth=May(OPERATE_QUEUES), response=QueueOut, summary="Pause a queue")
def pause_queue(request: HttpRequest, name: str, payload: ReasonIn = ReasonIn()) -> HttpResponse:  # noqa: B008
    _must_be_known(name)
    operations.pause(name, by=request.auth.name, reason=payload.reason)  # type: ignore[attr-defined]
    return _shown(name)


@router.post("/{name}/resume", auth=May(OPERATE_QUEUES), response=QueueOut, summary="Resume a queue")
def resume_queue(request: HttpRequest, name: str, payload: ReasonIn = ReasonIn()) -> HttpResponse:  # noqa: B008
    _must_be_known(name)
    operations.resume(name, by=request.auth.name, reason=payload.reason)  # type: ignore[attr-defined]
    return _shown(name)


def _must_be_known(name: str) -> None:
    if name not in declared():
        raise UnknownQueue(name, declared())


def _shown(name: str) -> HttpResponse:
    return reply(next(figures for figures in queue_figures() if figures["name"] == name))
