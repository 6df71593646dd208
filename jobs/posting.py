"""Post jobs by the name of their task, as the API, the commands and the console do: all of them, or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery.utils import uuid
from django.db import transaction
from pydantic_core import to_json

from jobs.conf import conf
from jobs.errors import ArgumentsRefused, ArgumentsTooLarge, JobError, UnknownQueue, UnknownTask
from jobs.ledger.publish import collecting
from jobs.messages import dumps, loads
from jobs.queues import declared
from jobs.redaction import is_plumbing
from jobs.registry import registered_tasks
from jobs.signatures import signature_of


@dataclass(frozen=True)
class Post:
    """One job to be: the task's name, its arguments, and what `apply_async` takes (seconds, aware times, 0 to 9)."""

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    delay: float | None = None
    run_at: datetime | None = None
    expires: float | None = None
    unique_key: str | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class Posted:
    """The job that a post led to; `replayed` when it is the live one that already had the unique key."""

    task_id: str
    replayed: bool


class PostsRefused(JobError):
    """Posts of which at least one was refused, so that none was accepted: `refusals` is [(index, error), ...]."""

    def __init__(self, refusals: Sequence[tuple[int, JobError]]) -> None:
        self.refusals = list(refusals)
        super().__init__("; ".join(f"job {index}: {error}" for index, error in self.refusals))


def post(posts: Sequence[Post], *, using: str = "default") -> list[Posted]:
    """Accept every post in one transaction, or raise PostsRefused with each fault and accept none."""
    tasks = _checked(posts)
    ids = [uuid() for _ in posts]
    with transaction.atomic(using=using), collecting() as batch:
        for task, one, task_id in zip(tasks, posts, ids, strict=True):
            _apply(task, one, task_id)
    jobs = [batch.posted.get(task_id, task_id) for task_id in ids]
    return [Posted(job, job != task_id) for job, task_id in zip(jobs, ids, strict=True)]


def task_named(name: str) -> Any:
    """The registered task of this name, or the only one whose last dotted part it is; raises UnknownTask."""
    tasks = registered_tasks()
    if name in tasks:
        return tasks[name]
    alike = [full for full in tasks if full.rpartition(".")[2] == name]
    if len(alike) != 1:
        raise UnknownTask(name)
    return tasks[alike[0]]


def refuse_unfit(task: str, args: Any, kwargs: Any) -> None:
    """Raises ArgumentsRefused for what can't be stored and read again, ArgumentsTooLarge for more than a door takes."""
    try:
        size = len(to_json([args, kwargs]))
        loads(dumps([args, kwargs]))
    except Exception as error:
        raise ArgumentsRefused(task, [{"loc": ["kwargs"], "msg": f"Can't be read again: {error}"}]) from error
    if size > conf().arguments_warn:
        raise ArgumentsTooLarge(task, size, conf().arguments_warn)


def _checked(posts: Sequence[Post]) -> list[Any]:
    tasks, refusals = [], []
    for index, one in enumerate(posts):
        try:
            tasks.append(_check(one))
        except JobError as error:
            refusals.append((index, error))
    if refusals:
        raise PostsRefused(refusals)
    return tasks


def _check(one: Post) -> Any:
    task = task_named(one.task)
    if is_plumbing(task):  # celery.map runs other tasks past their signatures and secrets
        raise UnknownTask(one.task)
    if one.queue is not None and one.queue not in declared():
        raise UnknownQueue(one.queue, declared())
    signature_of(task).check(one.args, one.kwargs)
    refuse_unfit(task.name, one.args, one.kwargs)
    return task


def _apply(task: Any, one: Post, task_id: str) -> None:
    options = {
        "queue": one.queue,
        "priority": one.priority,
        "countdown": one.delay,
        "eta": one.run_at,
        "expires": one.expires,
        "unique_key": one.unique_key,
        "tags": list(one.tags) or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    task.apply_async(list(one.args), dict(one.kwargs), task_id=task_id, **given)
