"""The settle: what is one transaction when an attempt ends, retried while the database is down."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from celery import current_app, states
from celery.app.task import Context
from celery.exceptions import TaskRevokedError
from django.db import connections, router, transaction

from jobs import lifecycle
from jobs.conf import conf
from jobs.errors import DATABASE_DOWN
from jobs.ledger import current, spool
from jobs.ledger.current import Claim
from jobs.ledger.locks import RowLocked, impatient
from jobs.ledger.patience import DatabaseDown, afresh, patiently, undisturbed
from jobs.lifecycle import Failure
from jobs.messages import loads
from jobs.models import Job
from jobs.states import CELERY_STATUS, Outcome, Reason, State

logger = logging.getLogger(__name__)


@dataclass
class Ending:
    """What is one transaction: the move, and what belongs to it. Its parts can be pickled, for the spool."""

    held: Claim
    move: Callable[[], bool]
    parts: Sequence[Callable[[], Any]]

    def write(self) -> bool:
        """Do it; False for a late writer, whose parts are dropped."""
        if not self.held.inside:
            self.held.afterwards.clear()
        if not self.parts:
            return self.move()
        with transaction.atomic(using=self.held.using):
            done = self.move()
            if done:
                for part in self.parts:
                    part()
        return done

    def write_late(self) -> None:
        """From the spool, by whoever finds it: the attempt's own process had to give up waiting."""
        held = self.held
        held.patient, held.settling = False, True
        with current.active(held), current.continuing():
            done = self.write()
        held.settling = False
        logger.warning("The end of job %s was written from the spool%s", held.id, "" if done else ", too late")
        if done:
            aside(held.afterwards)


def settled(held: Claim, move: Callable[[], bool], *, and_then: Sequence[Callable[[], Any]] = ()) -> bool:
    """Do the move, and what belongs to it, in one transaction; False for a late writer, whose part is dropped.

    While the database is down it is tried again, whole, and lies in the spool: an attempt that ended keeps its
    outcome, whatever becomes of this process. When the spool can't take it either this process waits.
    """
    done = _settling(held, Ending(held, move, and_then))
    held.settled = True
    if not done:
        logger.warning("Job %s was settled by somebody else; what this attempt did is not recorded", held.id)
        return False
    if not held.inside:
        if held.patient:
            _afterwards(held)
        else:
            aside(held.afterwards)
    return True


def _settling(held: Claim, ending: Ending) -> bool:
    held.settling = True
    try:
        with current.continuing():
            if held.inside:
                return ending.write()
            if not held.patient:
                return _try(held, ending)
            with undisturbed():
                afresh(held.using)
                return _spooled(held, ending)
    finally:
        held.settling = False


def _spooled(held: Claim, ending: Ending) -> bool:
    """Wait for the database with the outcome on disk."""
    kept: list[spool.Entry | None] = []
    try:
        done = _written(ending, kept)
    except DatabaseDown as error:
        logger.error("Job %s has ended, and is settled when the database is back: %s", held.id, error)
        _leave(kept)
        held.afterwards.clear()
        return True
    except Exception:
        _forget(kept)
        raise
    except BaseException:  # this process is told to end
        _leave(kept)
        raise
    _forget(kept)
    return done


def _written(ending: Ending, kept: list[spool.Entry | None]) -> bool:
    """Raises DatabaseDown when patience ends and the outcome is on disk: while the spool is full it has no other
    place than this process."""
    while True:
        try:
            return patiently(ending.write, ending.held.using, meanwhile=lambda: kept.append(_kept(ending)))
        except DatabaseDown:
            if any(kept):
                raise
            time.sleep(conf().patience_step_max)


def _kept(ending: Ending) -> spool.Entry | None:
    ending.held.afterwards.clear()
    return spool.write(ending.write_late, ending.held.token)


def _forget(kept: Sequence[spool.Entry | None]) -> None:
    for entry in filter(None, kept):
        entry.told()


def _leave(kept: Sequence[spool.Entry | None]) -> None:
    for entry in filter(None, kept):
        entry.leave()


def _afterwards(held: Claim) -> None:
    for errback in held.afterwards:
        errback()


def aside(errbacks: Sequence[Callable[[], Any]]) -> None:
    """Call them in a thread of their own: no worker and no clock may stand still over the code of a user."""

    calls = list(errbacks)

    def call() -> None:
        try:
            for errback in calls:
                errback()
        finally:
            connections.close_all()

    if calls:
        threading.Thread(target=call, name="errbacks").start()


# --- In the worker's parent: its event loop must not wait ------------------------------------------

#: Settles that the parent could not do at once: its heartbeat thread tries them again.
postponed: deque[tuple[Claim, Callable[[], bool]]] = deque()


def _try(held: Claim, ending: Ending) -> bool:
    if spool.holds(held.token):
        # The body had ended, and its child waited for the database: that outcome stands.
        return True
    try:
        with impatient(held.using):
            return ending.write()
    except RowLocked as error:
        _postpone(held, ending.write, error)
    except DATABASE_DOWN as error:
        _postpone(held, held.if_down or ending.write, error)
    except Exception:  # the body is to be stopped all the same, and its message acknowledged
        logger.exception("The end of job %s can't be written; its lease ends it", held.id)
    finally:
        # The parent forks; no connection may cross that.
        connections[held.using].close()
    return True


def _postpone(held: Claim, once: Callable[[], bool], error: Exception) -> None:
    logger.warning("The end of job %s can't be written yet: %s", held.id, error)
    postponed.append((held, once))
    held.afterwards.clear()


def settle_postponed() -> int:
    """Write what had to wait, as far as the database answers; what can't be written at all is logged and let go.

    How many outcomes were told from the spool, or wait for somebody's lock: there may be more to do soon.
    """
    with impatient(router.db_for_write(Job)):
        try:
            return spool.tell_all((*DATABASE_DOWN, RowLocked))
        except RowLocked as error:
            logger.warning("An outcome waits in the spool: %s", error)
            return 1
        finally:
            for _ in range(len(postponed)):
                _try_again(*postponed.popleft())


def _try_again(held: Claim, once: Callable[[], bool]) -> None:
    if spool.holds(held.token):
        return  # the body had ended after all: that outcome stands
    held.settling = True
    try:
        with current.active(held), current.continuing():
            done = once()
    except (*DATABASE_DOWN, RowLocked):
        postponed.append((held, once))
    except Exception:
        logger.exception("The end of job %s can't be written; its lease ends it", held.id)
    else:
        if done:
            aside(held.afterwards)
    finally:
        held.settling = False


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
