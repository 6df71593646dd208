"""What `AsyncResult` and `GroupResult` read and wait for: the ledger says the state, the result row the rest."""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from celery import states
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import ResultSet
from django.db import router
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from jobs.conf import conf
from jobs.ledger import publish
from jobs.models import Job
from jobs.states import CELERY_STATUS, State

#: Stored while the job waited or in an earlier life: says nothing about the attempt that runs now.
STALE = (states.PENDING, states.RETRY, *states.READY_STATES)


class ReadingBackend(DatabaseBackend):
    """django-celery-results' rows, read beside the job's."""

    supports_native_join = True

    @property
    def using(self) -> str:
        return str(router.db_for_write(Job))

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


def _raise_parents_errors(results: Iterable[Any]) -> None:
    parents = {result.parent.id: result.parent for result in results if getattr(result, "parent", None)}
    for parent in parents.values():
        for node in (*reversed(list(getattr(parent, "_parents", lambda: ())())), parent):
            if hasattr(node, "maybe_throw"):
                node.maybe_throw()
