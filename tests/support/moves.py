"""The ledger's verbs on real rows, said shortly: jobs in every state, workers that race, hints in Redis."""

import base64
import json
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from celery import current_app
from celery.app.trace import build_tracer
from django.db import connections

from jobs import lifecycle
from jobs.broker import PREFIX, SEPARATOR, STEPS
from jobs.lifecycle import Claimed, Failure, Refusal, ResultRow
from jobs.lifecycle.moment import now
from jobs.models import Job
from jobs.states import Reason, State
from tests.plain_tasks import add
from tests.support.valkey import ValkeyServer

USING = "default"
NO = Failure("ValueError", "no", "Traceback (most recent call last):\nValueError: no\n")


def queued(*args: Any, task: Any = add, **options: Any) -> str:
    """The id of a job that was posted."""
    return str(task.apply_async(args or ((1, 2) if task is add else ()), **options).id)


def take(job_id: str, token: str = "", *, task: str = "", lease: float = 60, limited: bool = False) -> Any:
    """What a worker's claim answers."""
    name = task or Job.objects.filter(id=job_id).values_list("task", flat=True).first() or add.name
    claim: Claimed | Refusal = lifecycle.claim(
        job_id, name, token or uuid.uuid4().hex, worker_id="w", worker="w@here", lease=lease, using=USING,
        limited=limited,
    )  # fmt: skip
    return claim


def running(*args: Any, **options: Any) -> tuple[str, str]:
    """(id, token) of a job that a worker holds."""
    claimed = take(queued(*args, **options))
    assert isinstance(claimed, Claimed), claimed
    return claimed.id, claimed.token


def row(job_id: str) -> Job:
    """The job as the database has it now."""
    return Job.objects.get(id=job_id)


def again(job_id: str, **changes: Any) -> Job:
    """The message with which a running job asks to run again."""
    job = row(job_id)
    job.retries += 1
    for name, value in changes.items():
        setattr(job, name, value)
    return job


def result_of(job_id: str, value: Any = 3) -> ResultRow:
    """The result row of a success."""
    text = {"content_type": "application/json", "content_encoding": "utf-8", "result": json.dumps(value)}
    return ResultRow(job_id, {**text, "status": "SUCCESS", "task_name": add.name})


def later(seconds: float = 60) -> Any:
    """A time from now, by the database's clock."""
    return now(USING) + timedelta(seconds=seconds)


def in_state(state: State) -> str:
    """A job that the verbs have brought into this state; the id."""
    if state == State.SCHEDULED:
        return queued(countdown=60)
    if state == State.QUEUED:
        return queued()
    if state in (State.CANCELLED, State.EXPIRED):
        return _ended_waiting(state)
    job_id, token = running()
    if state == State.RETRYING:
        assert lifecycle.retry(job_id, token, again(job_id, run_at=later()), NO, using=USING)
    elif state == State.SUCCEEDED:
        assert lifecycle.succeed(job_id, token, result_of(job_id), using=USING)
    elif state == State.DEAD:
        assert lifecycle.die(job_id, token, Reason.NOT_RETRYABLE, NO, using=USING)
    return job_id


def _ended_waiting(state: State) -> str:
    job_id = queued()
    if state == State.CANCELLED:
        lifecycle.cancel_waiting([job_id], using=USING)
    else:
        Job.objects.filter(id=job_id).update(expires_at=later(-1))
        lifecycle.expire([job_id], using=USING)
    return job_id


def together(*acts: Callable[[], Any]) -> list[Any]:
    """What each act answers or raises; all start at once, each in a thread and on a connection of its own."""
    start = threading.Barrier(len(acts))
    answers: list[Any] = [None] * len(acts)

    def one(index: int, act: Callable[[], Any]) -> None:
        start.wait()
        try:
            answers[index] = act()
        except BaseException as error:
            answers[index] = error
        finally:
            connections[USING].close()

    threads = [threading.Thread(target=one, args=(index, act)) for index, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def deliver(task: Any, job_id: str, queue: str = "default") -> Any:
    """What a worker's child does with a hint of this job: the tracer that Celery sets, called as it calls it."""
    task.__trace__ = build_tracer(task.name, task, current_app.loader, "moves@test", app=current_app)
    message = {"id": job_id, "task": task.name, "hostname": "moves@test", "delivery_info": {"routing_key": queue}}
    return task.__trace__(job_id, (), {}, message)


def hints(bell: ValkeyServer, queue: str = "default") -> list[dict[str, Any]]:
    """The messages that wait in Redis for this queue, in the order in which a worker pops them."""
    keys = [f"{PREFIX}{queue}{SEPARATOR}{step}" if step else f"{PREFIX}{queue}" for step in STEPS]
    with bell.client() as client:
        return [json.loads(text) for key in keys for text in reversed(_list(client, key))]


def _list(client: redis.Redis, key: str) -> list[str]:
    found: Any = client.lrange(key, 0, -1)
    return list(found)


def rung(bell: ValkeyServer, queue: str = "default") -> list[str]:
    """The ids of those."""
    return [hint["headers"]["id"] for hint in hints(bell, queue)]


def body_of(hint: dict[str, Any]) -> Any:
    """[args, kwargs, embed] of a hint."""
    return json.loads(base64.b64decode(hint["body"]))
