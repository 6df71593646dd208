"""The hints that lie in Redis, as bytes: read, doubled, forged and lost."""

import json
import uuid
from typing import Any

import redis

from jobs.broker import CANARY
from tests.support.station import Station

#: How kombu names the lists of a queue: one for each priority step.
LISTS = "stationmaster:{}*"


def connect(station: Station) -> redis.Redis:
    """A client that answers bytes."""
    return redis.Redis(port=station.valkey.port, socket_timeout=5)


def lists(station: Station, queue: str = "default") -> dict[bytes, list[bytes]]:
    """The messages of a queue by the name of the list they lie in, without the clock's canaries."""
    return {
        key: messages
        for key, found in _raw(station, queue).items()
        if (messages := [message for message in found if not message.startswith(CANARY)])
    }


def canaries(station: Station, queue: str = "default") -> int:
    """How many probes of the clock lie in this queue's lists."""
    return sum(message.startswith(CANARY) for found in _raw(station, queue).values() for message in found)


def _raw(station: Station, queue: str) -> dict[bytes, list[bytes]]:
    with connect(station) as client:
        keys = [key for key in client.scan_iter(LISTS.format(queue), count=1000) if client.type(key) == b"list"]
        found: dict[bytes, Any] = {key: client.lrange(key, 0, -1) for key in keys}
    return found


def hints(station: Station, queue: str = "default") -> list[bytes]:
    """The messages that wait in Redis for this queue, of any priority."""
    return [message for messages in lists(station, queue).values() for message in messages]


def copies(station: Station, id: str, queue: str = "default") -> int:
    """The hints of one job."""
    return sum(id.encode() in message for message in hints(station, queue))


def deliver(station: Station, *messages: bytes, queue: str = "default") -> None:
    """Put messages where a worker of this queue takes them next."""
    with connect(station) as client:
        client.rpush(LISTS.format(queue).removesuffix("*"), *messages)


def again(message: bytes) -> bytes:
    """The same message as a broker would deliver it again: with a tag of its own."""
    fresh = json.loads(message)
    fresh["properties"]["delivery_tag"] = str(uuid.uuid4())
    return json.dumps(fresh).encode()
