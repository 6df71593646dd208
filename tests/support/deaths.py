"""Jobs that died, made by the real verbs: posted, claimed by nobody in particular, and dead."""

import uuid
from typing import Any

from jobs import lifecycle
from jobs.lifecycle import Failure
from jobs.models import Job
from jobs.states import Outcome, Reason
from jobs.tasks.process_payment import process_payment

TRACEBACK = """Traceback (most recent call last):
  File "{root}/jobs/tasks/process_payment.py", line 7, in charge
    raise TaskFailure("amount")
jobs.errors.TaskFailure: amount
"""


def posted(*args: Any, task: Any = process_payment, **options: Any) -> str:
    """A queued job's id; in a queue without a limit, so that any of them may be claimed first."""
    if task is process_payment:
        options.setdefault("queue", "default")
    return str(task.apply_async(args or ("order-1", -1), **options).id)


def claimed(job_id: str) -> str:
    """The token of a claim that a worker took."""
    job = Job.objects.get(pk=job_id)
    token = str(uuid.uuid4())
    lifecycle.claim(job_id, job.task, token, worker_id="w", worker="w@host", lease=60, using="default")
    return token


def die(job_id: str, error: str = "TaskFailure", message: str = "amount must be above 0", traceback: str = "") -> None:
    """The job is claimed and dies."""
    failure = Failure(error, message, traceback or TRACEBACK)
    assert lifecycle.die(
        job_id, claimed(job_id), Reason.NOT_RETRYABLE, failure, outcome=Outcome.FAILED, using="default"
    )


def dead(*args: Any, **options: Any) -> str:
    """A dead job's id."""
    job_id = posted(*args, **options)
    die(job_id)
    return job_id
