"""The claim cut: around a task's tracer, in the process that runs the body, before anything else of Celery's runs."""

import logging
import sys
import uuid
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.process import current_process
from celery import states
from celery.app.task import Context
from celery.app.trace import TraceInfo, trace_ok_t
from celery.contrib.django.task import DjangoTask
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded, WorkerLostError
from django.conf import settings
from django.db import router
from kombu.utils.imports import symbol_by_name

from jobs import lifecycle, logs
from jobs.conf import conf
from jobs.ledger import control, current, settle, spool
from jobs.ledger.patience import DatabaseDown, afresh, patiently
from jobs.lifecycle import Claimed, Refusal
from jobs.messages import loads
from jobs.models import Job
from jobs.queues import declared
from jobs.signatures import signature_of

logger = logging.getLogger(__name__)

#: Where the worker's parent puts the attempt's token in the request; popped before the tracer sees it.
TICKET = "stationmaster"


class Durable:
    """What makes a task class durable; mixed into every task's class when it is registered."""

    Request: Any = "jobs.ledger.request:LedgerRequest"
    _traced: Any = None

    @property
    def __trace__(self) -> Any:
        return self._traced

    @__trace__.setter
    def __trace__(self, tracer: Callable[..., Any] | None) -> None:
        self._traced = tracer and _claiming(self, tracer)

    def retry(self, args: Any = None, kwargs: Any = None, exc: Any = None, *more: Any, **options: Any) -> Any:
        if held := current.claim():
            held.retry_why = settle.failure_of(exc or sys.exc_info()[1] or Retry("asked to run again"))
        return super().retry(args, kwargs, exc, *more, **options)  # type: ignore[misc]

    def replace(self, sig: Any) -> Any:
        """The id of this job goes to a later step; what is posted here joins the settle."""
        held = current.claim()
        if held is None:
            return super().replace(sig)  # type: ignore[misc]
        held.replaced = True
        with current.continuing():
            return super().replace(sig)  # type: ignore[misc]

    def receive_durably(self) -> None:
        """A task with a Request class of its own keeps it, over ours: parent and child need the same token."""
        own = symbol_by_name(self.Request)
        ledger = symbol_by_name(Durable.Request)
        if not issubclass(own, ledger):
            self.Request = type(own.__name__, (ledger, own), {})

    def read_arguments(self) -> None:
        """Give the body what its type hints say (a date where JSON has text)."""
        run: Callable[..., Any] = getattr(self, "run")  # noqa: B009  (Celery's, of the class this is mixed into)
        if not getattr(run, "__annotations__", None) or hasattr(run, "_reads"):
            return
        task = self

        @wraps(run)
        def reading(*args: Any, **kwargs: Any) -> Any:
            read_args, read_kwargs = signature_of(task).read(args, kwargs)
            return run(*read_args, **read_kwargs)

        reading._reads = True  # type: ignore[attr-defined]
        self.run = reading


class DurableTask(Durable, DjangoTask):
    """The base of every task that names none."""

    abstract = True


def _claiming(task: Any, tracer: Callable[..., Any]) -> Callable[..., Any]:
    def traced(job_id: str, args: Any, kwargs: Any, request: dict[str, Any]) -> Any:
        return run(task, tracer, job_id, request)

    return traced


def run(task: Any, tracer: Callable[..., Any], job_id: str, request: dict[str, Any]) -> Any:
    """Claim, trace, settle. Nothing but the end of a pool's process leaves here: a pool of threads would lose a place
    in its line without a word, a solo worker would end."""
    ticket = request.pop(TICKET, None) or {"token": uuid.uuid4().hex, "worker_id": current.PROCESS}
    using = router.db_for_write(Job)
    try:
        return _claimed_and_traced(task, tracer, job_id, request, ticket, using)
    except Reject as error:
        return _handed_back(error, states.REJECTED)
    except SystemExit as error:
        if in_pool_process() or type(error) is not SystemExit:
            raise
        held = current.Claim(job_id, ticket["token"], using, limited=True)
        with current.active(held):
            lost = WorkerLostError(f"The body ended its process: {error!r}.")
            settle.crashed(held, lost, Context(request), task.backend)
        return _handed_back(Ignore("crashed"), states.IGNORED)
    except Exception as error:
        logger.exception("Job %s met what nobody expected", job_id)
        _fail(task, current.Claim(job_id, ticket["token"], using, limited=True), error, request)
        return _handed_back(Ignore(repr(error)), states.IGNORED)


def _fail(task: Any, held: current.Claim, error: Exception, request: dict[str, Any]) -> None:
    """If the job runs under this token it dies of the error; if even that fails, its lease ends it."""
    try:
        with current.active(held):
            task.backend.mark_as_failure(held.id, error, str(ExceptionInfo().traceback), request=Context(request))
    except Exception:
        logger.exception("The death of job %s can't be written", held.id)


def in_pool_process() -> bool:
    """Whether this process is a pool's child, whose end its parent notices."""
    return bool(getattr(current_process(), "_daemonic", False)) or current_process().name != "MainProcess"


def _claimed_and_traced(
    task: Any, tracer: Callable[..., Any], job_id: str, request: dict[str, Any], ticket: dict[str, str], using: str
) -> Any:
    """A hint that claims nothing is dropped."""
    afresh(using)
    try:
        claimed = patiently(lambda: _claim(task, job_id, request, ticket, using), using)
    except DatabaseDown as error:
        logger.error("Job %s is handed back: %s", job_id, error)
        # The claim may have been written, and only its answer be lost.
        spool.keep(partial(lifecycle.release, job_id, ticket["token"], ring=True, using=using))
        return _handed_back(Reject(str(error), requeue=True), states.REJECTED)
    except SoftTimeLimitExceeded as error:
        # It struck while the claim waited: no body has run.
        settle.released(current.Claim(job_id, ticket["token"], using))
        return _handed_back(Reject(repr(error), requeue=True), states.REJECTED)
    if isinstance(claimed, Refusal):
        if claimed is Refusal.EXPIRED:
            control.expire([job_id], using=using)
        logger.info("The hint of job %s is dropped: %s", job_id, claimed.value)
        return _handed_back(Ignore(claimed.value), states.IGNORED)
    return _traced(task, tracer, claimed, request)


def _claim(task: Any, job_id: str, request: dict[str, Any], ticket: dict[str, str], using: str) -> Claimed | Refusal:
    spec = declared().get((request.get("delivery_info") or {}).get("routing_key") or "")
    return lifecycle.claim(
        job_id,
        task.name,
        ticket["token"],
        worker_id=ticket["worker_id"],
        worker=request.get("hostname") or "",
        lease=_hard_limit(task, request) + conf().lease_margin,
        using=using,
        limited=bool(spec and spec.limit),
    )


def _hard_limit(task: Any, request: dict[str, Any]) -> float:
    """Seconds: the job's own limit, the task's, or the app's; no job is without one."""
    given = (request.get("timelimit") or (None, None))[0]
    return float(given or task.time_limit or settings.CELERY_TASK_TIME_LIMIT)


def _traced(task: Any, tracer: Callable[..., Any], claimed: Claimed, request: dict[str, Any]) -> Any:
    args, kwargs = _fill(request, claimed)
    held = current.Claim(
        claimed.id,
        claimed.token,
        claimed.using,
        claimed.task,
        claimed.attempt,
        claimed.retries,
        claimed.root_job_id,
        limited=claimed.limited,
        body=claimed.body,
    )
    logged = logs.running.set((claimed.id, claimed.task, claimed.attempt))
    hidden = logs.secretive.set(bool(getattr(task, "secrets", None)))
    try:
        with current.active(held):
            done = tracer(claimed.id, args, kwargs, request)
            if not held.settled:
                settle.leftover(held, done.info)
        return done
    finally:
        logs.secretive.reset(hidden)
        logs.running.reset(logged)


def _fill(request: dict[str, Any], claimed: Claimed) -> tuple[Any, Any]:
    """The request as the table has it: a forged or stale message decides nothing."""
    args, kwargs, embed = loads(claimed.body)
    envelope = loads(claimed.envelope)
    request.update(envelope["headers"], args=args, kwargs=kwargs, **(embed or {}))
    request["delivery_info"] = {**(request.get("delivery_info") or {}), "priority": claimed.priority}
    return args, kwargs


def _handed_back(exc: Exception, state: str) -> Any:
    """What the tracer would return for a body that raised this: the parent acks (Ignore) or requeues (Reject)."""
    try:
        raise exc
    except (Ignore, Reject):
        return trace_ok_t(ExceptionInfo(internal=True), TraceInfo(state, exc), 0.0, "")
