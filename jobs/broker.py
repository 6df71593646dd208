"""Redis, the doorbell: the only publisher. A ring never raises, never blocks for long, and may be lost."""

import base64
import logging
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.conf import conf
from jobs.messages import dumps, loads

logger = logging.getLogger(__name__)

#: kombu's separator between a queue's name and a priority step.
SEPARATOR = "\x06\x16"
OPTIONS: Any = settings.CELERY_BROKER_TRANSPORT_OPTIONS
PREFIX: str = OPTIONS["global_keyprefix"]
STEPS: list[int] = OPTIONS["priority_steps"]

#: How a canary begins in Redis; then its list and its stamp. It is no message: the transport keeps it from kombu.
CANARY = b"stationmaster-canary "

#: Keys of ours that are no queues' lists: no queue's name holds a colon.
SEEN = "canary:"

#: What the worker must not see: the table keeps the time, a message has none.
TIMELESS = {"eta": None, "expires": None}


@dataclass(frozen=True)
class Hint:
    """What is published for a job: the stock Celery message, without times."""

    queue: str
    priority: int | None
    envelope: str
    body: str

    def key(self) -> str:
        """The list kombu pops it from: priority 9 first, and kombu pops its step 0 first."""
        step = 9 - (self.priority or 0)
        return f"{PREFIX}{self.queue}{SEPARATOR}{step}" if step else f"{PREFIX}{self.queue}"

    def message(self) -> str:
        """kombu's virtual transport form, equal to what stock Celery publishes but for the delivery tag."""
        envelope = loads(self.envelope)
        properties = {
            **envelope["properties"],
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": self.queue},
            "priority": 9 - (self.priority or 0),
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        }
        return dumps(
            {
                "body": base64.b64encode(self.body.encode()).decode(),
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": {**envelope["headers"], **TIMELESS},
                "properties": properties,
            }
        )


class Breaker:
    """After a failure Redis is left alone for a while, so that only one caller waits for it."""

    def __init__(self) -> None:
        self.closed_again = 0.0

    def open(self) -> bool:
        return time.monotonic() < self.closed_again

    def trip(self) -> None:
        self.closed_again = time.monotonic() + conf().breaker


breaker = Breaker()
_clients: dict[int, redis.Redis] = {}


def client() -> redis.Redis:
    """This process' Redis client: short timeouts, one retry of a connection that broke while idle."""
    pid = os.getpid()
    if pid not in _clients:
        _clients.clear()
        _clients[pid] = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=conf().redis_connect_timeout,
            socket_timeout=conf().redis_timeout,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
    return _clients[pid]


def ring(hints: Sequence[Hint]) -> bool:
    """Publish the hints in one pipeline; False when Redis can't be reached (the reconciler rings them then)."""
    if not hints:
        return True
    if breaker.open():
        return False
    messages = [(hint.key(), text) for hint in hints if (text := _text(hint)) is not None]
    try:
        pipeline = client().pipeline(transaction=False)
        for key, text in messages:
            pipeline.lpush(key, text)
        pipeline.execute()
    except (redis.RedisError, OSError) as error:
        breaker.trip()
        logger.warning("Redis can't be rung (%s); %d jobs wait in the table", error, len(hints))
        return False
    return True


def _text(hint: Hint) -> str | None:
    """The message, or None for a row that nobody can read: it must not keep the others from being rung."""
    try:
        return hint.message()
    except Exception:
        logger.exception("A job in queue %s can't be rung: its stored message can't be read", hint.queue)
        return None


def depths(queues: Iterable[str]) -> dict[str, int]:
    """Hints that wait in Redis, by queue. Raises redis.RedisError."""
    names: list[str] = list(queues)
    pipeline = client().pipeline(transaction=False)
    for name in names:
        for step in STEPS:
            pipeline.llen(f"{PREFIX}{name}{SEPARATOR}{step}" if step else f"{PREFIX}{name}")
    lengths: list[int] = pipeline.execute()
    per_queue = len(STEPS)
    return {name: sum(lengths[i * per_queue : (i + 1) * per_queue]) for i, name in enumerate(names)}


def canary_stamp(raw: bytes) -> tuple[str, str] | None:
    """Of a popped canary the (key, value) that the popper must SET, which tells the reconciler that it came through.

    None: a hint. The key is without the prefix, for kombu's client adds that.
    """
    if not raw.startswith(CANARY):
        return None
    line, _, stamp = raw[len(CANARY) :].decode(errors="replace").rpartition(" ")
    return (f"{SEEN}{line}", stamp) if line and stamp.isdecimal() else None


def alive() -> bool:
    """Whether Redis answers."""
    try:
        return bool(client().ping())
    except (redis.RedisError, OSError):
        return False
