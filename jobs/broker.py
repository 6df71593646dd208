"""Redis, the doorbell: the only publisher. A ring never raises, never blocks for long, and may be lost."""

import base64
import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
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

#: Keys of ours that are no lists: no queue's name holds a colon.
SENT = "canary-sent:"
SEEN = "canary:"
EPOCH = f"{PREFIX}clock:epoch"

#: Characters of messages in one pipeline: as much memory Redis must have free to take any of them.
PART = 256 * 1024

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
        """The list kombu pops it from."""
        return PREFIX + list_of(self.queue, self.priority)

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


def list_of(queue: str, priority: int | None) -> str:
    """The list, without the prefix, of a priority: 9 goes first, and kombu pops its step 0 first."""
    step = 9 - (priority or 0)
    return f"{queue}{SEPARATOR}{step}" if step else queue


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


def ring(hints: Sequence[Hint]) -> int:
    """Publish the hints; how many from the first on lie in Redis (the reconciler rings the others then).

    One pipeline, unless they are large: what a nearly full Redis refuses it refuses a part at a time.
    """
    done = 0
    try:
        for part in _parts(hints):
            if breaker.open():
                break
            _push([(hint.key(), text) for hint, text in part if text is not None])
            done += len(part)
    except (redis.RedisError, OSError) as error:
        breaker.trip()
        logger.warning("Redis can't be rung (%s); %d jobs wait in the table", error, len(hints) - done)
    return done


def _push(messages: Sequence[tuple[str, str]]) -> None:
    """One LPUSH a list. Raises redis.RedisError."""
    lists: dict[str, list[str]] = {}
    for key, text in messages:
        lists.setdefault(key, []).append(text)
    pipeline = client().pipeline(transaction=False)
    for key, texts in lists.items():
        pipeline.lpush(key, *texts)
    pipeline.execute()


def _parts(hints: Sequence[Hint]) -> Iterator[list[tuple[Hint, str | None]]]:
    """The hints with their messages, in parts of at most PART characters (or one message)."""
    part: list[tuple[Hint, str | None]] = []
    size = 0
    for hint in hints:
        text = _text(hint)
        if part and size + len(text or "") > PART:
            yield part
            part, size = [], 0
        part.append((hint, text))
        size += len(text or "")
    if part:
        yield part


def _text(hint: Hint) -> str | None:
    """The message, or None for a row that nobody can read: it must not keep the others from being rung."""
    try:
        return hint.message()
    except Exception:
        logger.exception("A job in queue %s can't be rung: its stored message can't be read", hint.queue)
        return None


def depths(queues: Iterable[str]) -> dict[str, int]:
    """Hints that wait in Redis, by queue. Raises redis.RedisError."""
    lists = {queue: [list_of(queue, 9 - step) for step in STEPS] for queue in queues}
    found = look([name for names in lists.values() for name in names])
    return {queue: sum(found[name].hints for name in names) for queue, names in lists.items()}


# --- What the clock asks, to find hints that Redis lost. All of it raises redis.RedisError ---------


@dataclass(frozen=True)
class Line:
    """One list in Redis: a queue and priority."""

    hints: int
    #: A canary is among them (it is not counted).
    probed: bool
    #: Stamps of the last canary that was sent, and of the last one that came through; 0: none.
    sent: int
    seen: int


def look(lists: Sequence[str]) -> dict[str, Line]:
    """What is in these lists (named without the prefix)."""
    pipeline = client().pipeline(transaction=False)
    for name in lists:
        pipeline.llen(PREFIX + name)
        pipeline.mget(f"{PREFIX}{SENT}{name}", f"{PREFIX}{SEEN}{name}")
    answers = pipeline.execute()
    found = {}
    for name, length, stamps in zip(lists, answers[::2], answers[1::2], strict=True):
        sent, seen = (int(stamp or 0) for stamp in stamps)
        probed = sent > seen and client().lpos(PREFIX + name, _canary(name, sent), rank=-1) is not None
        found[name] = Line(max(0, length - probed), probed, sent, seen)
    return found


def send_canary(name: str, stamp: int) -> None:
    """Put a canary behind what waits in this list. A list is first in, first out: when it is popped, what waited
    there was popped before it."""
    pipeline = client().pipeline(transaction=False)
    pipeline.set(f"{PREFIX}{SENT}{name}", stamp)
    pipeline.lpush(PREFIX + name, _canary(name, stamp))
    pipeline.execute()


def _canary(name: str, stamp: int) -> str:
    return f"{CANARY.decode()}{name} {stamp}"


def canary_stamp(raw: bytes) -> tuple[str, str] | None:
    """Of a popped canary the (key, value) that the popper must SET, which tells the reconciler that it came through.

    None: a hint. The key is without the prefix, for kombu's client adds that.
    """
    if not raw.startswith(CANARY):
        return None
    line, _, stamp = raw[len(CANARY) :].decode(errors="replace").rpartition(" ")
    return (f"{SEEN}{line}", stamp) if line and stamp.isdecimal() and len(stamp) < 20 else None


def epoch() -> str | None:
    """What the clock left in Redis; None when Redis has lost it."""
    value: Any = client().get(EPOCH)
    return None if value is None else value.decode(errors="replace")


def set_epoch(expected: str | None, value: str) -> bool:
    """Leave another value, unless somebody else has changed it."""
    with client().pipeline() as pipeline:
        pipeline.watch(EPOCH)  # type: ignore[no-untyped-call]
        found: Any = pipeline.get(EPOCH)
        if (None if found is None else found.decode(errors="replace")) != expected:
            return False
        pipeline.multi()
        pipeline.set(EPOCH, value)
        try:
            pipeline.execute()
        except redis.WatchError:
            return False
    return True


def alive() -> bool:
    """Whether Redis answers."""
    try:
        return bool(client().ping())
    except (redis.RedisError, OSError):
        return False
