"""The machine in one file: a job's states, the moves between them, and why a job is held or dead."""

from dataclasses import dataclass

from celery import states as celery_states
from django.db.models import TextChoices


class State(TextChoices):
    SCHEDULED = "scheduled", "Scheduled"  # waits for its time; the dispatcher moves it, a person cancels it
    QUEUED = "queued", "Queued"  # waits for a worker; a claim moves it, the clock expires it
    RUNNING = "running", "Running"  # only the holder of its token moves it, or the rescuer
    RETRYING = "retrying", "Retrying"  # waits for its next attempt; the dispatcher moves it
    SUCCEEDED = "succeeded", "Succeeded"  # runs again only if a caller posts its id again
    DEAD = "dead", "Dead"  # a person requeues or discards its dead letter
    CANCELLED = "cancelled", "Cancelled"  # a person stopped it, and may requeue it
    EXPIRED = "expired", "Expired"  # too late to run; a person may requeue it


WAITING = (State.SCHEDULED, State.QUEUED, State.RETRYING)
LIVE = (*WAITING, State.RUNNING)
ENDED = (State.SUCCEEDED, State.DEAD, State.CANCELLED, State.EXPIRED)
REQUEUEABLE = (State.DEAD, State.CANCELLED, State.EXPIRED)

#: What Celery calls each state (`AsyncResult.status`, the API's `status`).
CELERY_STATUS = {
    State.SCHEDULED: celery_states.PENDING,
    State.QUEUED: celery_states.PENDING,
    State.RUNNING: celery_states.STARTED,
    State.RETRYING: celery_states.RETRY,
    State.SUCCEEDED: celery_states.SUCCESS,
    State.DEAD: celery_states.FAILURE,
    State.CANCELLED: celery_states.REVOKED,
    State.EXPIRED: celery_states.REVOKED,
}


@dataclass(frozen=True)
class Move:
    """One legal step: a conditional UPDATE from one of `sources` to `target`."""

    sources: tuple[State, ...]
    target: State


DISPATCH = Move((State.SCHEDULED, State.RETRYING), State.QUEUED)
CLAIM = Move((State.QUEUED,), State.RUNNING)
SUCCEED = Move((State.RUNNING,), State.SUCCEEDED)
RETRY = Move((State.RUNNING,), State.RETRYING)
RELEASE = Move((State.RUNNING,), State.QUEUED)
REPLACE = Move((State.RUNNING,), State.QUEUED)
DIE = Move((State.RUNNING, State.QUEUED), State.DEAD)
EXPIRE = Move(WAITING, State.EXPIRED)
CANCEL = Move(LIVE, State.CANCELLED)
REQUEUE = Move((*REQUEUEABLE, State.SUCCEEDED), State.QUEUED)

MOVES = {
    "dispatch": DISPATCH,
    "claim": CLAIM,
    "succeed": SUCCEED,
    "retry": RETRY,
    "release": RELEASE,
    "replace": REPLACE,
    "die": DIE,
    "expire": EXPIRE,
    "cancel": CANCEL,
    "requeue": REQUEUE,
}


class Hold(TextChoices):
    """Why a queued job may not start yet."""

    NONE = "", "-"
    PAUSED = "paused", "Queue paused"
    LIMIT = "limit", "Limit reached"
    UNKNOWN_TASK = "unknown_task", "Task unknown to the live workers"
    REPLACED = "replaced", "Replaced by a later step"


class Outcome(TextChoices):
    """How an attempt ended, when it did not succeed."""

    RETRIED = "retried", "Retried"
    FAILED = "failed", "Failed"
    TIMED_OUT = "timed_out", "Timed out"
    CRASHED = "crashed", "Crashed"
    CANCELLED = "cancelled", "Cancelled"


class Reason(TextChoices):
    """Why a job died for good."""

    EXHAUSTED = "exhausted", "Retries used up"
    NOT_RETRYABLE = "not_retryable", "Not retryable"
    TIMED_OUT = "timed_out", "Timed out"
    CRASHED = "crashed", "Crashed its workers"
    UNKNOWN_TASK = "unknown_task", "Unknown task"
    UNDECODABLE = "undecodable", "Undecodable message"
