"""The parent cut: what the worker's main process settles itself, by the same token as the child that ran the body."""

import uuid
from functools import partial
from signal import SIGTERM
from typing import Any

from billiard.common import TERM_SIGNAME
from billiard.einfo import ExceptionWithTraceback
from celery.app.task import Context
from celery.exceptions import InvalidTaskError, WorkerLostError
from celery.platforms import signals
from celery.worker import state
from celery.worker.request import Request
from django.db import router
from kombu.utils.objects import cached_property

from jobs import lifecycle
from jobs.ledger import current, settle
from jobs.ledger.execution import TICKET
from jobs.models import Job
from jobs.redaction import MASK, secrets_of

#: Fields of events that hold what a body returned or raised.
TELLTALES = ("result", "exception", "traceback")


class LedgerRequest(Request):
    """A received hint. Its token is made here, so that parent and child hold the same fence."""

    ending = False

    def __init__(self, message: Any, **opts: Any) -> None:
        super().__init__(message, **opts)
        # The channel may be gone when the job ends (Redis was away): kombu then says AttributeError, which nobody
        # expects. The hint that stays is dropped at its next claim.
        errors: tuple[type[Exception], ...] = opts.get("connection_errors") or ()
        self._connection_errors = (*errors, AttributeError)
        self._check_limits()
        self._keep_hard_limit()
        token = uuid.uuid4().hex
        self._request_dict[TICKET] = {"token": token, "worker_id": current.PROCESS}
        self.held = current.Claim(
            self.id,
            token,
            router.db_for_write(Job),
            self._type,
            retries=self._request_dict.get("retries") or 0,
            limited=True,
            patient=False,
        )

    @cached_property
    def _context(self) -> Context:
        request = {key: value for key, value in self._request_dict.items() if key != TICKET}
        return Context({**request, **(self._payload[2] or {})})

    def _check_limits(self) -> None:
        """The pool would find out when it starts the job's clock, and the worker end by it."""
        limits: Any = self.time_limits
        if not (len(limits) == 2 and all(each is None or isinstance(each, int | float) for each in limits)):
            raise InvalidTaskError(f"Time limits are [hard, soft] in seconds, or null; these are {limits!r}.")

    def _keep_hard_limit(self) -> None:
        """Celery starts the hard limit's clock when the soft one has struck; with a later soft limit (everybody's, for
        a task that names only a hard one) the job would outlive its lease."""
        hard, soft = self.time_limits[0] or self.task.time_limit, self.time_limits[1] or self.task.soft_time_limit
        if hard and soft and soft > hard:
            self.time_limits: Any = (hard, hard)

    def revoked(self) -> bool:
        """The table decides: a worker remembers revoked ids for hours, and the job may have been requeued since."""
        state.revoked.discard(self.id)
        return bool(super().revoked())

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """A lost child is a crash, which waits in the table; the message is done with."""
        with current.active(self.held):
            if self._was_lost(exc_info.exception) and self._crashed(exc_info.exception):
                self.acknowledge()
            super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
            if self._already_revoked:
                self.acknowledge()
            if self.held.retry is not None and not self.held.settled:
                settle.retried(self.held, settle.failure_of(exc_info.exception))

    def send_event(self, type: str, **fields: Any) -> None:
        """What a task with secrets returned or said may hold them."""
        if secrets_of(self.task):
            fields = {k: MASK if v and k in TELLTALES else v for k, v in fields.items()}
        super().send_event(type, **fields)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The hard limit: `mark_as_failure` settles by our token."""
        # The body may have succeeded, and its child be waiting for the database: a limit that can't be written
        # gives the job back instead.
        self.held.if_down = partial(lifecycle.release, self.id, self.held.token, ring=True, using=self.held.using)
        with current.active(self.held):
            super().on_timeout(soft, timeout)

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Somebody wants the running job gone: `mark_as_revoked` settles by our token.

        Who asks says SIGTERM; where REMAP_SIGTERM is set a child ignores that, and the worker's own signal ends it.
        """
        if signal is not None and signals.signum(signal) == SIGTERM:
            signal = TERM_SIGNAME
        self.ending = True
        try:
            with current.active(self.held):
                super().terminate(pool, signal)
        finally:
            self.ending = False

    def acknowledge(self) -> None:
        """Not while the child is only being told to end: the next hint would be handed to a dying process, and its
        place in the worker never come back. `on_failure` acknowledges when the child is gone."""
        if not self.ending:
            super().acknowledge()

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """A soft shutdown, or a connection that was cut: the job goes back to its queue, the attempt is given back."""
        with current.active(self.held):
            super().cancel(pool, signal, emit_retry=emit_retry)
            if self.time_start:
                settle.released(self.held, ring=True)

    def _crashed(self, exc: Any) -> bool:
        """Whether the loss is settled here: a task may want it as one of its retries instead."""
        if self.task.retry_on_worker_lost:
            return False
        return settle.crashed(self.held, _lost(exc), self._context, self.task.backend)

    def _was_lost(self, exc: Any) -> bool:
        exc = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
        if self._already_cancelled or self._already_revoked:
            return False
        return isinstance(exc, WorkerLostError | SystemExit | KeyboardInterrupt)


def _lost(exc: Any) -> WorkerLostError:
    exc = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
    return exc if isinstance(exc, WorkerLostError) else WorkerLostError(f"Worker exited prematurely: {exc!r}.")
