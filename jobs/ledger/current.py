"""The claim in whose hands this thread is, and whether what it posts continues a finished job."""

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connections

from jobs import lifecycle
from jobs.lifecycle import Failure
from jobs.models import Job

logger = logging.getLogger(__name__)


@dataclass
class Claim:
    """A running job as this process holds it; what its body wants posted waits here for the settle."""

    id: str
    token: str
    using: str
    task: str = ""
    attempt: int = 1
    retries: int = 0
    root_job_id: str = ""
    limited: bool = False
    body: str = ""
    #: Next steps, callbacks, chord bodies: enqueued in the settle's transaction.
    outbox: list[Job] = field(default_factory=list)
    outbox_tags: dict[str, Any] = field(default_factory=dict)
    #: What goes before them: the counters of chords.
    preparations: list[Callable[[], Any]] = field(default_factory=list)
    #: The message of `Task.retry`: the RETRY move, not a publish.
    retry: Job | None = None
    #: Why the body asked to run again, as it was raised; None if it did not ask.
    retry_why: Failure | None = None
    replaced: bool = False
    #: A state that the body stored for its own id (`update_state`).
    stored: str | None = None
    #: Inside the settle's transaction: posts are inserted at once.
    settling: bool = False
    settled: bool = False
    #: May wait for the database (a child may, the worker's parent may not).
    patient: bool = True
    #: Already inside the transaction of another settle of this claim (a crash that turns out to be the last one).
    inside: bool = False
    #: What the parent postpones instead of the settle when the database is down.
    if_down: Callable[[], bool] | None = None
    #: Errbacks that run user code inline: after the settle, not inside its transaction.
    afterwards: list[Callable[[], Any]] = field(default_factory=list)


#: This process (and the children it forks), as its Worker row is called.
PROCESS = str(uuid.uuid4())

_claim: ContextVar[Claim | None] = ContextVar("claim", default=None)
_continuing: ContextVar[bool] = ContextVar("continuing", default=False)


def claim() -> Claim | None:
    return _claim.get()


def holds(job_id: str) -> Claim | None:
    """The current claim if it is on this job and not settled yet."""
    held = _claim.get()
    return held if held is not None and held.id == job_id and not held.settled else None


@contextmanager
def active(held: Claim | None) -> Iterator[None]:
    """What runs inside does so under this claim (None: under none)."""
    token = _claim.set(held)
    try:
        yield
    finally:
        _claim.reset(token)


def is_continuing() -> bool:
    return _continuing.get()


def in_settle(act: Callable[[], Any]) -> None:
    """Do it in the transaction of the settle that posts what is posted now; at once, if none is to come."""
    held = _claim.get()
    if held and is_continuing() and not held.settling:
        held.preparations.append(act)
    else:
        act()


@contextmanager
def continuing() -> Iterator[None]:
    """What is posted inside continues a job that has finished: frozen ids, posted again when it is replayed."""
    token = _continuing.set(True)
    try:
        yield
    finally:
        _continuing.reset(token)


# --- For the bodies of tasks ----------------------------------------------------------------------


def current_job() -> Claim | None:
    """The job that runs here (id, root_job_id, attempt), or None outside a worker."""
    return _claim.get()


def report_progress(done: float, total: float, note: str = "") -> None:
    """Tell how far the running job is: `done` of `total`, with a note. Nothing outside a worker.

    A database that is away is no reason to end the work: then it is not told.
    """
    held = _claim.get()
    if held is None:
        return
    text = json.dumps({"done": done, "total": total, "note": note[:200]})
    try:
        lifecycle.report_progress(held.id, held.token, text, using=held.using)
    except (OperationalError, InterfaceError) as error:
        if connections[held.using].in_atomic_block:
            raise  # the body's transaction is lost with it
        logger.warning("The progress can't be written: %s", error)
        connections[held.using].close()
