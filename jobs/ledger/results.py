"""The settle cut: Celery's result backend, whose every end of an attempt is one transaction with the ledger."""

import logging
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from billiard.exceptions import TimeLimitExceeded
from celery import current_app, states
from celery.app.task import Context
from celery.canvas import maybe_signature
from celery.exceptions import TaskRevokedError, WorkerLostError
from django.db import transaction

from jobs import lifecycle
from jobs.ledger import current, settle
from jobs.ledger.chording import ChordBackend
from jobs.ledger.current import Claim
from jobs.ledger.ending import settled
from jobs.ledger.errbacks import aside
from jobs.lifecycle import Failure, ResultRow
from jobs.messages import storable
from jobs.models import Job
from jobs.states import Outcome, Reason, State

logger = logging.getLogger(__name__)


class LedgerBackend(ChordBackend):
    """django-celery-results' tables, written in the settle's transaction."""

    #: No `celery.backend_cleanup` schedule: the pruner removes expired results.
    supports_autoexpire = True

    # --- The ends of an attempt -------------------------------------------------------------------

    def mark_as_done(
        self, task_id: str, result: Any, request: Any = None, store_result: bool = True, state: str = states.SUCCESS
    ) -> None:
        held = current.claim()
        if held is None or held.id != task_id:
            super().mark_as_done(task_id, result, request, store_result, state)
            return
        if held.settled:
            return
        if held.retry is not None:
            # retry(throw=False): the body returned, and yet it has asked to run again.
            settle.retried(held, Failure("Retry", "asked to run again"))
            return
        ignored = not store_result or getattr(request, "ignore_result", False)
        row = None if ignored else self._row(task_id, self.encode_result(result, state), state, None, request)
        parts: list[Callable[[], Any]] = []
        if held.outbox or held.preparations:
            parts.append(partial(settle.deliver_outbox, held))
        if held.limited:
            parts.append(partial(settle.free_slot, held))
        if request and request.chord:
            parts.append(partial(_call, "on_chord_part_return", request, state, None))
        settled(held, partial(lifecycle.succeed, held.id, held.token, row, using=held.using), and_then=parts)

    def mark_as_failure(
        self,
        task_id: str,
        exc: Any,
        traceback: Any = None,
        request: Any = None,
        store_result: bool = True,
        call_errbacks: bool = True,
        state: str = states.FAILURE,
    ) -> None:
        stock = partial(_call_stock, "mark_as_failure", task_id, exc, traceback, request, store_result, state=state)
        held = current.claim()
        if held is None or held.id != task_id:
            stock(call_errbacks=call_errbacks)
        elif not held.settled:
            self._die(held, exc, traceback, partial(stock, call_errbacks=False), request if call_errbacks else None)

    def _die(self, held: Claim, exc: Any, traceback: Any, store: Any, request: Any) -> None:
        """Dead, its result and its letter, the chord's count, the rest of its chain, its errbacks: one transaction."""
        reason, outcome = _why(held, exc)
        # What Celery passes on can be pickled: perhaps only a base class of what was raised.
        failure = settle.failure_of(sys.exc_info()[1] or exc, traceback)
        parts = [store]
        if request is not None and request.errbacks:
            parts.append(partial(_call, "_call_task_errbacks", request, exc, traceback))
        settled(
            held,
            partial(lifecycle.die, held.id, held.token, reason, failure, outcome=outcome, using=held.using),
            and_then=parts,
        )

    def mark_as_retry(
        self,
        task_id: str,
        exc: Any,
        traceback: Any = None,
        request: Any = None,
        store_result: bool = True,
        state: str = states.RETRY,
    ) -> None:
        held = current.claim()
        if held is None or held.id != task_id:
            super().mark_as_retry(task_id, exc, traceback, request=request, store_result=store_result, state=state)
        elif not held.settled and held.retry is not None:
            store = partial(_call, "store_result", task_id, exc, state, traceback=traceback, request=request)
            settle.retried(held, settle.failure_of(exc, traceback), and_then=[store])

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        store = partial(_call, "store_result", task_id, TaskRevokedError(reason), state, request=request)
        held = current.claim()
        if held is None or held.id != task_id:
            self._revoke_waiting(task_id, reason, store if store_result else None)
        elif not held.settled:
            failure = Failure("TaskRevokedError", reason)
            settled(
                held,
                partial(lifecycle.cancel_running, held.id, held.token, failure, using=held.using),
                and_then=[*([store] if store_result else []), partial(settle.tell_cancelled, held, reason)],
            )

    # --- The ends of a job that waits (in the caller's transaction) -------------------------------

    def _revoke_waiting(self, task_id: str, reason: str, store: Any) -> None:
        """The worker's parent found that it should not start this one; an id that has no job is told as stock does."""
        with transaction.atomic(using=self.using):
            jobs = lifecycle.cancel_waiting([task_id], using=self.using)
            if store and (jobs or not Job.objects.using(self.using).filter(id=task_id).exists()):
                store()
            self.end_waiting(jobs, reason)

    def end_waiting(self, jobs: Iterable[Job], reason: str) -> None:
        """They were cancelled or expired."""
        for job in jobs:
            self.tell_end(job, states.REVOKED, TaskRevokedError(reason))

    def tell_end(self, job: Job, state: str, exc: Any) -> None:
        """Whom a job's bad end concerns: its chord counts it, the steps behind it end too."""
        try:
            request = settle.context_of(job)
        except Exception:  # it must not keep the others from ending
            logger.exception("The message of job %s can't be read: nobody is told of its end", job.id)
            return
        if request.chord:
            self.on_chord_part_return(request, state, exc)
        if request.chain:
            self._fail_chain(request.chain, exc, state=state)

    def fail_waiting(self, ids: Iterable[str], reason: Reason, exc: Exception) -> None:
        """Nobody will ever run them: dead, with all that a death brings."""
        for job in lifecycle.die_waiting(list(ids), reason, settle.failure_of(exc), using=self.using):
            # What can't be read says of no chord and no chain either.
            request = None if reason == Reason.UNDECODABLE else settle.context_of(job)
            self.mark_as_failure(job.id, exc, request=request, store_result=not job.ignore_result)

    def _call_task_errbacks(self, request: Any, exc: Any, traceback: Any) -> None:
        """Errbacks that are tasks are enqueued in the settle's transaction, inline ones run after it.

        Those of jobs that end waiting run beside whoever ended them: the clock, a request.
        """
        held = current.claim()
        stock = super()._call_task_errbacks
        if held is not None and not held.settling:
            stock(request, exc, traceback)
            return
        inline = [errback for errback in request.errbacks if self._is_inline(errback)]
        posted = [errback for errback in request.errbacks if errback not in inline]
        if posted:
            stock(_with_errbacks(request, posted), exc, traceback)
        if not inline:
            return
        call = partial(stock, _with_errbacks(request, inline), exc, traceback)
        if held is not None:
            held.afterwards.append(call)
        else:
            transaction.on_commit(partial(aside, [call]), using=self.using, robust=True)

    def _is_inline(self, errback: Any) -> bool:
        """Celery's own rule: a new-style errback takes more than the id."""
        signature = maybe_signature(errback, app=self.app)
        task = self.app.tasks.get(signature.task)
        header = getattr(task, "__header__", None)
        return header is not None and not isinstance(header, partial) and self._errback_arity_greater(signature, 1)

    # --- Result rows ------------------------------------------------------------------------------

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        held = current.claim()
        own = held is not None and held.id == task_id
        if held is not None and own:
            if state == states.STARTED:
                return result  # said by the claim already
            if not held.settling:
                held.stored = state
        stored = super().store_result(task_id, result, state, traceback=traceback, request=request, **kwargs)
        if not own and state in states.PROPAGATE_STATES:
            ended = State.CANCELLED if state == states.REVOKED else State.DEAD
            lifecycle.fail_replaced(task_id, ended, settle.failure_of(result, traceback), using=self.using)
        return stored

    def _store_result(
        self, task_id: str, result: Any, status: str, traceback: Any = None, request: Any = None, using: Any = None
    ) -> Any:
        lifecycle.store(self._row(task_id, result, status, traceback, request), using or self.using)
        return result

    def _row(self, task_id: str, encoded: Any, status: str, traceback: Any, request: Any) -> ResultRow:
        """Name, exact JSON arguments, worker, result: every column but the times."""
        content_type, content_encoding, result = self.encode_content(encoded)
        meta = {**(getattr(request, "meta", None) or {}), "children": self.current_task_children(request)}
        columns = {
            "content_type": content_type,
            "content_encoding": content_encoding,
            "result": result,
            "meta": self.encode_content(meta)[2],
            "status": status,
            "traceback": None if traceback is None else storable(str(traceback)),
            **self._of_request(request),
        }
        return ResultRow(task_id, columns)

    def _of_request(self, request: Any) -> dict[str, Any]:
        names = ("task_name", "task_args", "task_kwargs", "worker", "periodic_task_name")
        if request is None:
            return dict.fromkeys(names)
        args, kwargs = getattr(request, "args", None), getattr(request, "kwargs", None)
        values = (
            getattr(request, "task", None),
            None if args is None else self.encode_content(list(args))[2],
            None if kwargs is None else self.encode_content(dict(kwargs))[2],
            (getattr(request, "hostname", None) or "")[:100] or None,
            getattr(request, "periodic_task_name", None) or (request.get("properties") or {}).get("periodic_task_name"),
        )
        return dict(zip(names, values, strict=True))


def _call(name: str, *args: Any, **kwargs: Any) -> Any:
    """A method of this process' backend: what the spool keeps must not hold a backend of its own."""
    return getattr(current_app.backend, name)(*args, **kwargs)


def _call_stock(name: str, *args: Any, **kwargs: Any) -> Any:
    """The same, as Celery has it below ours."""
    return getattr(super(LedgerBackend, current_app.backend), name)(*args, **kwargs)


def _why(held: Claim, exc: Any) -> tuple[Reason, Outcome]:
    if isinstance(exc, TimeLimitExceeded):
        return settle.TIMED_OUT
    if isinstance(exc, WorkerLostError):
        return Reason.CRASHED, Outcome.CRASHED
    return settle.reason_of(held, exc), Outcome.FAILED


def _with_errbacks(request: Any, errbacks: list[Any]) -> Any:
    copy = Context(request.__dict__)
    copy.errbacks = errbacks
    return copy
