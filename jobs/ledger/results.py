"""The settle cut: Celery's result backend, whose every end of an attempt is one transaction with the ledger."""

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from billiard.exceptions import TimeLimitExceeded
from celery import states
from celery.app.task import Context
from celery.canvas import maybe_signature
from celery.exceptions import ChordError, TaskRevokedError, WorkerLostError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import GroupResult, ResultSet, allow_join_result
from celery.utils.functional import _regen
from django.db import router, transaction
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from jobs import lifecycle
from jobs.conf import conf
from jobs.ledger import current, publish, settle
from jobs.ledger.current import Claim
from jobs.lifecycle import Failure, ResultRow, chords
from jobs.messages import storable
from jobs.models import Job
from jobs.states import CELERY_STATUS, Outcome, Reason, State

logger = logging.getLogger(__name__)

#: Stored while the job waited or in an earlier life: says nothing about the attempt that runs now.
STALE = (states.PENDING, states.RETRY, *states.READY_STATES)


class LedgerBackend(DatabaseBackend):
    """django-celery-results' tables, written in the settle's transaction."""

    #: No `celery.backend_cleanup` schedule: the pruner removes expired results.
    supports_autoexpire = True
    supports_native_join = True

    @property
    def using(self) -> str:
        return str(router.db_for_write(Job))

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
        parts = []
        if held.outbox or held.preparations:
            parts.append(lambda: settle.deliver_outbox(held))
        if held.limited:
            parts.append(lambda: settle.free_slot(held))
        if request and request.chord:
            parts.append(lambda: self.on_chord_part_return(request, state, result))
        settle.settled(held, lambda: lifecycle.succeed(held.id, held.token, row, using=held.using), and_then=parts)

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
        stock = partial(super().mark_as_failure, task_id, exc, traceback, request, store_result, state=state)
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
            parts.append(lambda: self._call_task_errbacks(request, exc, traceback))
        settle.settled(
            held,
            lambda: lifecycle.die(held.id, held.token, reason, failure, outcome=outcome, using=held.using),
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
            store = partial(self.store_result, task_id, exc, state, traceback=traceback, request=request)
            settle.retried(held, settle.failure_of(exc, traceback), and_then=[store])

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        store = partial(self.store_result, task_id, TaskRevokedError(reason), state, request=request)
        held = current.claim()
        if held is None or held.id != task_id:
            self._revoke_waiting(task_id, reason, store if store_result else None)
        elif not held.settled:
            failure = Failure("TaskRevokedError", reason)
            settle.settled(
                held,
                lambda: lifecycle.cancel_running(held.id, held.token, failure, using=held.using),
                and_then=[*([store] if store_result else []), lambda: settle.tell_cancelled(held, reason)],
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
        request = settle.context_of(job)
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
        """Errbacks that are tasks are enqueued in the settle's transaction, inline ones run after it."""
        held = current.claim()
        stock = super()._call_task_errbacks
        if held is None or not held.settling:
            stock(request, exc, traceback)
            return
        inline = [errback for errback in request.errbacks if self._is_inline(errback)]
        posted = [errback for errback in request.errbacks if errback not in inline]
        if posted:
            stock(_with_errbacks(request, posted), exc, traceback)
        if inline:
            held.afterwards.append(partial(stock, _with_errbacks(request, inline), exc, traceback))

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

    # --- Reading ----------------------------------------------------------------------------------

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        """As Celery says it: PENDING for ever, if it succeeded and its result is ignored. (`get()` ends, though.)"""
        publish.deliver_collected()
        job, row = self._rows([task_id])[task_id]
        untold = row is None and job is not None and job.ignore_result and job.state == State.SUCCEEDED
        return _bare(task_id, states.PENDING, job) if untold else self._meta(task_id, job, row)

    def _metas(self, task_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        return {i: self._meta(i, job, row) for i, (job, row) in self._rows(list(task_ids)).items()}

    def _rows(self, ids: list[str]) -> dict[str, tuple[Job | None, Any]]:
        """Two queries, however many ids: the jobs' states, and the results of those that have one."""
        jobs = {job.id: job for job in Job.objects.using(self.using).light().filter(id__in=ids)}
        wanted = [i for i in ids if i not in jobs or jobs[i].state not in (State.QUEUED, State.SCHEDULED)]
        rows: dict[str, Any] = {}
        if wanted:
            rows = {row.task_id: row for row in TaskResult.objects.using(self.using).filter(task_id__in=wanted)}
        return {i: (jobs.get(i), rows.get(i)) for i in ids}

    def _meta(self, task_id: str, job: Job | None, row: Any) -> dict[str, Any]:
        """The ledger says the state; the result row says the rest."""
        if job is None:
            return self._decoded(row) if row is not None else _bare(task_id, states.PENDING)
        status = CELERY_STATUS[State(job.state)]
        if status == states.STARTED and not self.app.conf.task_track_started:
            status = states.PENDING
        if job.state == State.RUNNING and (row is None or row.status in STALE):
            return _bare(task_id, status, job, {"hostname": job.worker})
        if row is not None and (row.status == status or job.state in (State.RUNNING, State.SUCCEEDED)):
            return self._decoded(row)
        if job.state in (State.CANCELLED, State.EXPIRED):
            return _bare(task_id, status, job, TaskRevokedError("expired" if job.state == State.EXPIRED else "revoked"))
        if job.state == State.DEAD:
            told = {"exc_type": job.error or "Exception", "exc_message": [job.message], "exc_module": "builtins"}
            return self.meta_from_decoded(_bare(task_id, status, job, told))
        return _bare(task_id, status, job)

    def _decoded(self, row: Any) -> dict[str, Any]:
        """As django-celery-results reads its row."""
        known = row.as_dict()
        meta = self.decode_content(row, known.pop("meta", None)) or {}
        args, kwargs = self._arguments(row, known["task_args"]), self._arguments(row, known["task_kwargs"])
        known.update(
            meta,
            result=self.decode_content(row, known.get("result")),
            task_args=args,
            task_kwargs=kwargs,
            args=args,
            kwargs=kwargs,
            name=known["task_name"],
        )
        decoded: dict[str, Any] = self.meta_from_decoded(known)
        return decoded

    def _arguments(self, row: Any, text: str | None) -> Any:
        try:
            return self.decode_content(row, text)
        except ValueError:
            return text

    # --- Waiting ----------------------------------------------------------------------------------

    def wait_for_pending(
        self,
        result: Any,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Any = None,
        callback: Any = None,
        propagate: bool = True,
    ) -> Any:
        """Look often; an error of a parent step is told before what followed from it."""
        ((_, meta),) = self.get_many([result.id], timeout=timeout, on_interval=on_interval)
        if propagate and result.parent:
            result._maybe_reraise_parent_error()
        result._maybe_set_cache(meta)
        return result.maybe_throw(propagate=propagate, callback=callback)

    def get_many(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Any = None,
        max_iterations: int | None = None,
        READY_STATES: Any = states.READY_STATES,  # noqa: N803  (Celery's name)
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """(id, meta) of each as it becomes ready; one look a poll for all of them."""
        publish.deliver_collected()
        left = set(task_ids)
        until = None if timeout is None else time.monotonic() + timeout
        looks = 0
        while left:
            for task_id, meta in self._metas(left).items():
                if meta["status"] in READY_STATES:
                    left.discard(task_id)
                    yield task_id, meta
            looks += 1
            if not left or (max_iterations and looks >= max_iterations):
                return
            if until is not None and time.monotonic() >= until:
                raise CeleryTimeoutError(f"{len(left)} of the results are not ready after {timeout} s.")
            if on_interval:
                on_interval()
            # A look at a thousand jobs costs what ten looks at a hundred do.
            time.sleep(conf().poll * (1 + len(left) // 100))

    def iter_native(
        self, result: Any, timeout: float | None = None, interval: float = 0.5, no_ack: bool = True, **kwargs: Any
    ) -> Iterator[tuple[str, Any]]:
        """Members' results; an error of the group's parents is told first."""
        ids = []
        for member in result.results:
            if isinstance(member, ResultSet):
                yield member.id, member.results
            else:
                ids.append(member.id)
        look = partial(_raise_parents_errors, [*result.results, result])
        look()
        for task_id, meta in self.get_many(ids, timeout=timeout, on_interval=look):
            if meta["status"] in states.PROPAGATE_STATES:
                look()
            yield task_id, meta

    # --- Chords -----------------------------------------------------------------------------------

    def apply_chord(self, header_result_args: Any, body: Any, **kwargs: Any) -> None:
        if isinstance(header_result_args, tuple) and isinstance(header_result_args[1], _regen):
            # A generator: to list its members now would draw them all before the first one is posted.
            current.in_settle(partial(chords.create_open, header_result_args[0], self.using))
            publish.being_drawn.add(header_result_args[0])
            return
        header = header_result_args
        if not isinstance(header, GroupResult):
            header = self.app.GroupResult(*header_result_args)
        members = [member.as_tuple() for member in header]
        size = body.get("chord_size") or len(members)
        current.in_settle(partial(chords.create, header.id, json.dumps(members), size, self.using))

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        publish.being_drawn.discard(group_id)
        current.in_settle(partial(chords.resize, group_id, chord_size, self.using))

    def add_to_chord(self, chord_id: str, result: Any) -> None:
        """`Task.add_to_chord`: a running member brings another one."""
        chords.join(chord_id, json.dumps(result.as_tuple()), self.using)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """A member has ended, once: it counts in the transaction in which it ended. The last one rings the body."""
        if not request.group or not request.id:
            return
        with transaction.atomic(using=self.using), current.continuing():
            counter = chords.count_down(request.group, request.group_index, request.id, self.using)
            if counter is not None:
                self._call_body(chords.header_of(counter, self.app), maybe_signature(request.chord, app=self.app))

    def _call_body(self, header: Any, body: Any) -> None:
        """Enqueue the body with the header's results; or fail it, keeping the count for a member that is requeued."""
        try:
            with allow_join_result():
                results = header.join_native(timeout=self.app.conf.result_chord_join_timeout, propagate=True)
        except Exception as exc:  # noqa: BLE001  (a member's error, whatever it is, is the body's)
            self.chord_error_from_stack(body, ChordError(f"{_culprit(header)}{exc!r}"))
            return
        # The count lets each run of a chord call its body once: an ended body is one of an earlier run.
        lifecycle.give_on([step.id for step in getattr(body, "tasks", [body]) if step.id], using=self.using)
        try:
            body.delay(results)
        except Exception as exc:  # as stock: a body that can't be posted has failed
            logger.exception("The body of chord %s can't be posted", header.id)
            self.chord_error_from_stack(body, ChordError(f"Callback error: {exc!r}"))
        else:
            chords.close(header.id, self.using)


def _why(held: Claim, exc: Any) -> tuple[Reason, Outcome]:
    if isinstance(exc, TimeLimitExceeded):
        return settle.TIMED_OUT
    if isinstance(exc, WorkerLostError):
        return Reason.CRASHED, Outcome.CRASHED
    return settle.reason_of(held, exc), Outcome.FAILED


def _bare(task_id: str, status: str, job: Job | None = None, result: Any = None) -> dict[str, Any]:
    """A meta without a result row."""
    return {
        "task_id": task_id,
        "status": status,
        "result": result,
        "traceback": None,
        "children": [],
        "date_done": job.finished_at if job else None,
        **({"name": job.task, "task_name": job.task, "worker": job.worker} if job else {}),
    }


def _with_errbacks(request: Any, errbacks: list[Any]) -> Any:
    copy = Context(request.__dict__)
    copy.errbacks = errbacks
    return copy


def _raise_parents_errors(results: Iterable[Any]) -> None:
    parents = {result.parent.id: result.parent for result in results if getattr(result, "parent", None)}
    for parent in parents.values():
        for node in (*reversed(list(getattr(parent, "_parents", lambda: ())())), parent):
            if hasattr(node, "maybe_throw"):
                node.maybe_throw()


def _culprit(header: Any) -> str:
    """Which member failed, as Celery words it."""
    for member in header.results:
        if not isinstance(member, ResultSet) and member.state in states.PROPAGATE_STATES:
            return f"Dependency {member.id} raised "
    return ""
