"""Jobs brought into each state by the ledger's own verbs, for tests of what doors say about them."""

import json
import uuid
from typing import Any

from django.db import transaction

from jobs import lifecycle, operations
from jobs.lifecycle import Failure, ResultRow
from jobs.models import Job
from jobs.registry import registered_tasks
from jobs.states import Reason


def queued(task: str = "tests.plain_tasks.add", *args: Any, **options: Any) -> str:
    """A job that waits; the id."""
    with transaction.atomic():
        return str(registered_tasks()[task].apply_async(args or (1, 2), **options).id)


def running(task: str = "tests.plain_tasks.add", *args: Any, **options: Any) -> tuple[str, str]:
    """A job that a worker holds; (id, token)."""
    id_, token = queued(task, *args, **options), uuid.uuid4().hex
    claimed = lifecycle.claim(id_, task, token, worker_id="w", worker="w@here", lease=60, using="default")
    assert isinstance(claimed, lifecycle.Claimed), claimed
    return id_, token


def succeeded(task: str = "tests.plain_tasks.add", *args: Any, value: Any = 3, **options: Any) -> str:
    """A job that returned `value`; the id."""
    id_, token = running(task, *args, **options)
    columns = {
        "status": "SUCCESS",
        "result": json.dumps(value),
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "task_name": task,
    }
    assert lifecycle.succeed(id_, token, ResultRow(id_, columns), using="default")
    return id_


def dead(
    task: str = "tests.plain_tasks.add", *args: Any, error: str = "ValueError", message: str = "no", **options: Any
) -> str:
    """A job that died, with its dead letter; the id."""
    id_, token = running(task, *args, **options)
    failure = Failure(error, message, f"Traceback (most recent call last):\n{error}: {message}\n")
    assert lifecycle.die(id_, token, Reason.NOT_RETRYABLE, failure, using="default")
    return id_


def cancelled(task: str = "tests.plain_tasks.add", *args: Any, **options: Any) -> str:
    """A job that a person cancelled; the id."""
    id_ = queued(task, *args, **options)
    operations.revoke([id_], by="tests")
    return id_


def job(id_: str) -> Job:
    return Job.objects.get(id=id_)
