"""Whether the broker's settings can lose hints or double them: worker and beat ask when they start."""

import logging
from collections.abc import Mapping
from typing import Any

import redis
from django.conf import settings

from jobs import broker
from jobs.conf import conf
from jobs.errors import JobError
from jobs.redaction import is_plumbing
from jobs.registry import registered_tasks

logger = logging.getLogger(__name__)


class EvictingBroker(JobError):
    """Redis throws keys away when its memory is full; a queue is one key."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        super().__init__(
            f"Redis evicts whole queues when its memory is full (maxmemory-policy {policy}). "
            "Set maxmemory-policy noeviction in its configuration."
        )


class ShortVisibilityTimeout(JobError):
    """The transport would hand a hint out again while its job may still run."""

    def __init__(self, timeout: float, task: str, limit: float, drain: float) -> None:
        self.timeout, self.task, self.limit, self.drain = timeout, task, limit, drain
        super().__init__(
            f"The broker's visibility timeout is {timeout:g} s, but {task} may run {limit:g} s and a stopping worker "
            f"waits {drain:g} s more. Set VISIBILITY_TIMEOUT={limit + drain:g} or more, or a shorter time_limit."
        )


def end_if_unsafe() -> bool:
    """End this process with exit code 1 and one sentence if the broker is unsafe.

    False: Redis did not answer, so ask again when it does. Raises SystemExit.
    """
    try:
        return refuse_unsafe_broker()
    except JobError as refused:
        logger.critical("%s", refused)
        raise SystemExit(1) from None


def refuse_unsafe_broker() -> bool:
    """Raises EvictingBroker or ShortVisibilityTimeout; with JOBS_ALLOW_UNSAFE_BROKER=1 that is an alarm only.

    False: Redis did not answer, and its policy is not known.
    """
    _refuse(short_visibility())
    if broker.breaker.open():
        return False
    try:
        policy = eviction_policy(memory())
    except redis.ResponseError as error:
        logger.warning("Whether Redis evicts is not known: it refuses INFO (%s)", error)
        return True
    except (redis.RedisError, OSError):
        broker.breaker.trip()
        return False
    _refuse(EvictingBroker(policy) if evicts(policy) else None)
    return True


def memory() -> dict[str, Any]:
    """The memory section of INFO (managed Redis may forbid CONFIG). Raises redis.RedisError."""
    client = broker.client()
    try:
        return dict(client.info("memory"))
    finally:
        client.connection_pool.disconnect()  # a worker forks after this


def eviction_policy(info: Mapping[str, Any]) -> str:
    """maxmemory-policy, or "" where the server does not tell it."""
    return str(info.get("maxmemory_policy", ""))


def evicts(policy: str) -> bool:
    """Whether keys of ours can go: volatile-* takes only keys with a time to live, and no queue has one."""
    return policy.startswith("allkeys-")


def short_visibility() -> ShortVisibilityTimeout | None:
    """What is wrong with the visibility timeout, measured against the longest hard limit; needs no connection."""
    timeout = float(settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"])
    drain = float(settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT)
    task, limit = longest_limit()
    return ShortVisibilityTimeout(timeout, task, limit, drain) if timeout < limit + drain else None


def longest_limit() -> tuple[str, float]:
    """The task with the longest hard limit (seconds), and that limit."""
    common = float(settings.CELERY_TASK_TIME_LIMIT or 0)
    tasks = [task for task in registered_tasks().values() if not is_plumbing(task)]
    limits = {task.name: float(task.time_limit or common) for task in tasks}
    return max(limits.items(), key=lambda item: item[1])


def _refuse(refusal: JobError | None) -> None:
    if refusal is None:
        return
    if not conf().allow_unsafe_broker:
        raise refusal
    logger.error("%s JOBS_ALLOW_UNSAFE_BROKER lets this process start all the same.", refusal)
