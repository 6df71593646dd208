"""What can be refused: each class takes the facts, makes the sentence, and keeps the facts."""

from collections.abc import Iterable, Sequence
from typing import Any

from celery.exceptions import QueueNotFound
from django.db import InterfaceError, InternalError, OperationalError

#: What says that the database takes nothing now. InternalError: it takes no writes, as after a failover to another.
DATABASE_DOWN = (OperationalError, InterfaceError, InternalError)


class JobError(Exception):
    """Base of everything this project refuses."""


class UnknownQueue(JobError, QueueNotFound):
    """A queue that is not in the queue table."""

    def __init__(self, queue: str, known: Iterable[str]) -> None:
        self.queue, self.known = queue, sorted(known)
        super().__init__(
            f"Unknown queue {queue!r}. Known: {', '.join(self.known)}. "
            f"Declare it in the setting JOBS_QUEUES, for example JOBS_QUEUES={queue}:4."
        )

    def __str__(self) -> str:
        """Celery's QueueNotFound is a KeyError, which would show the sentence in quotes."""
        return str(self.args[0])


class UnknownTask(JobError):
    """A task name that no loaded module registers."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(f"Unknown task {task!r}. Add its module to jobs/tasks/ or to the setting JOBS_TASK_MODULES.")


class UnknownJob(JobError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"No job has the id {job_id!r}. It never existed, or its retention has ended.")


class ArgumentsRefused(JobError):
    """Arguments that a task's signature does not accept.

    `errors` is a list of {"loc": [...], "msg": "..."}, loc starting with "args" or "kwargs".
    """

    def __init__(self, task: str, errors: Sequence[dict[str, Any]]) -> None:
        self.task, self.errors = task, list(errors)
        said = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in self.errors)
        super().__init__(f"{task} does not accept these arguments: {said}")


class ArgumentsTooLarge(JobError):
    """Arguments over a size limit (bytes of JSON)."""

    def __init__(self, task: str, size: int, limit: int) -> None:
        self.task, self.size, self.limit = task, size, limit
        super().__init__(
            f"The arguments of {task} are {size:,} bytes as JSON, more than {limit:,}. "
            "Store the data (file, row, object) and pass its key."
        )


class UniqueKeyRefused(JobError):
    """A unique key on a step of a chain, group or chord."""

    def __init__(self, task: str, key: str) -> None:
        self.task, self.key = task, key
        super().__init__(
            f"{task} can't have the unique key {key!r} as a step of a chain, group or chord: those would wait for it "
            "for ever if a live job took its place. Post it by itself, or give the key to the job that starts them."
        )


class WrongState(JobError):
    """A move that the job's state does not allow."""

    def __init__(self, job_id: str, state: str, wanted: str) -> None:
        self.job_id, self.state, self.wanted = job_id, state, wanted
        super().__init__(f"Job {job_id} is {state} and can't be {wanted}.")


class DatabaseAway(JobError):
    """The database can't be reached, or does not let us write."""

    def __init__(self) -> None:
        super().__init__(
            "The database does not answer, or another process keeps it busy. Nothing was accepted; try again."
        )


class TaskFailure(Exception):
    """Raised by a task for an outcome that trying again can't change; never retried."""
