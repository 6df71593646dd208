"""The settle: the ways in which an attempt ends, each a move and what belongs to it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from celery import current_app, states
from celery.app.task import Context
from celery.exceptions import TaskRevokedError

from jobs import lifecycle
from jobs.ledger.current import Claim
from jobs.ledger.ending import settled
from jobs.lifecycle import Failure
from jobs.messages import loads
from jobs.models import Job
from jobs.states import CELERY_STATUS, Outcome, Reason, State


def deliver_outbox(held: Claim) -> None:
    """Enqueue what the tracer posted for the finished body, in the settle's transaction."""
    for prepare in held.preparations:
        prepare()
    lifecycle.enqueue(held.outbox, tags=held.outbox_tags, by_worker=True, using=held.using)


def free_slot(held: Claim) -> None:
    lifecycle.give_slots_back([held.id], held.using)


def reason_of(held: Claim, exc: BaseException) -> Reason:
    """Why a body's error is for good: it had asked for retries and they are used up, or it never asked."""
    return Reason.EXHAUSTED if held.retry_why else Reason.NOT_RETRYABLE


def failure_of(exc: Any, traceback: Any = None) -> Failure:
    """The error as rows keep it."""
    return Failure(type(exc).__name__, _words(exc), str(traceback or ""))


def leftover(held: Claim, info: Any) -> None:
    """Settle what the tracer did not hand to the result backend: `ignore_result` retries, Ignore, Reject, replace."""
    state = info.state if info is not None else states.SUCCESS
    if held.replaced and state == states.IGNORED:
        replaced(held)
    elif state == states.RETRY and held.retry is not None:
        retried(held, failure_of(info.retval.exc or info.retval))
    elif state == states.IGNORED:
        ignored(held, info)
    elif state == states.REJECTED and info.retval.requeue:
        # The parent puts the same message back, which stays "redelivered" for code that looks.
        released(held)


def released(held: Claim, *, ring: bool = False) -> bool:
    """Back to its queue, the attempt given back (cancelled, if somebody wanted it gone)."""
    return settled(
        held,
        partial(lifecycle.release, held.id, held.token, ring=ring, using=held.using),
        and_then=[partial(tell_cancelled, held)],
    )


def retried(held: Claim, failure: Failure, *, and_then: Sequence[Callable[[], Any]] = ()) -> bool:
    again = held.retry
    assert again is not None, "a retry has a message"
    # What Celery passes on can be pickled: perhaps only a base class of what was raised.
    why = failure if held.retry_why is None else replace(held.retry_why, traceback=failure.traceback)
    return settled(
        held,
        partial(lifecycle.retry, held.id, held.token, again, why, using=held.using),
        and_then=[*and_then, partial(tell_cancelled, held)],
    )


def replaced(held: Claim) -> None:
    """The body's place is taken by other steps; one of them, now or later, carries this id."""
    settled(
        held,
        partial(lifecycle.replace, held.id, held.token, using=held.using),
        and_then=[partial(deliver_outbox, held)],
    )


def ignored(held: Claim, info: Any) -> None:
    """`Ignore` ends the job without a result, or with the end that the body stored itself."""
    failure = failure_of(info.retval)
    if held.stored == states.FAILURE:
        settled(
            held,
            partial(lifecycle.die, held.id, held.token, reason_of(held, info.retval), failure, using=held.using),
            and_then=[partial(_tell, held, State.DEAD, info.retval)],
        )
    elif held.stored == states.REVOKED:
        settled(
            held,
            partial(lifecycle.cancel_running, held.id, held.token, failure, using=held.using),
            and_then=[partial(tell_cancelled, held)],
        )
    else:
        settled(held, partial(lifecycle.succeed, held.id, held.token, None, using=held.using), and_then=_slot(held))


def crashed(held: Claim, exc: Exception, request: Any, backend: Any) -> bool:
    """The worker died under the job: it waits for its next attempt, or dies with its result, letter and errbacks.

    False when the job is not running under this token: the worker died before the claim, or after the settle.
    """

    def move() -> bool:
        moved = lifecycle.crash(held.id, held.token, failure_of(exc), using=held.using)
        if moved == State.DEAD:
            held.settling = held.settled = False
            held.inside = True
            try:
                backend.mark_as_failure(held.id, exc, request=request)
            finally:
                held.inside = False
        return moved is not None

    return settled(held, move, and_then=[partial(tell_cancelled, held)])


def tell_cancelled(held: Claim, reason: str = "revoked") -> None:
    """If the attempt ended because somebody had revoked the job, its chord and the steps behind it hear of it."""
    _tell(held, State.CANCELLED, TaskRevokedError(reason))


def _tell(held: Claim, state: State, exc: Any) -> None:
    for job in Job.objects.using(held.using).filter(id=held.id, state=state):
        current_app.backend.tell_end(job, CELERY_STATUS[state], exc)


def _slot(held: Claim) -> list[Callable[[], Any]]:
    return [partial(free_slot, held)] if held.limited else []


def claim_of(job: Job, using: str) -> Claim:
    """The claim that a running row describes, for whoever settles it from outside (the rescuer)."""
    return Claim(
        job.id, job.token or "", using, job.task, job.attempt, job.retries, job.root_job_id, limited=True, body=job.body
    )


def context_of(job: Job) -> Context:
    """The request that the job's body sees."""
    args, kwargs, embed = loads(job.body)
    headers = loads(job.envelope)["headers"]
    return Context(headers, args=args, kwargs=kwargs, hostname=job.worker, **(embed or {}))


def _words(exc: Any) -> str:
    try:
        return str(exc)
    except Exception:  # noqa: BLE001  (user code's __str__ is data here)
        return f"<{type(exc).__name__} that can't be shown>"


TIMED_OUT = (Reason.TIMED_OUT, Outcome.TIMED_OUT)
