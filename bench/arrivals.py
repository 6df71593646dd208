"""What a beat sends, as it comes to lie in Redis."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis


@dataclass(frozen=True)
class Arrival:
    """One message: the schedule it is of, and when it came, by the host's clock (Unix) and by the side's."""

    name: str
    id: str
    host: float
    ahead: float

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.host + self.ahead, UTC)


class Arrivals(threading.Thread):
    """Pops a list until it is ended, and reads what it popped when it is asked: not a moment is lost meanwhile."""

    def __init__(self, side: Any) -> None:
        super().__init__(name="arrivals", daemon=True)
        self.side, self.over = side, threading.Event()
        self.popped: list[tuple[float, float, bytes]] = []
        self.read = 0
        self.seen: dict[str, Arrival] = {}

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with redis.Redis(port=self.side.valkey.port, socket_timeout=3) as client:
                    for raw in self._raw(client):
                        self.popped.append((time.time(), self.side.ahead, raw))
            except redis.RedisError:
                self.over.wait(0.05)

    def all(self) -> list[Arrival]:
        """Every message, the oldest first; one that came again is the same one."""
        while self.read < len(self.popped):
            host, ahead, raw = self.popped[self.read]
            self.read += 1
            headers = _headers(raw)
            if (id := headers.get("id")) and id not in self.seen:
                self.seen[id] = Arrival(str(headers.get("periodic_task_name", "")), id, host, ahead)
        return list(self.seen.values())

    def of(self, name: str) -> list[Arrival]:
        """The messages of one schedule."""
        return [arrival for arrival in self.all() if arrival.name == name]

    def end(self) -> None:
        self.over.set()
        if self.is_alive():
            self.join(timeout=5)

    def _raw(self, client: Any) -> Iterator[bytes]:
        while not self.over.is_set():
            if (one := client.brpop([self.side.line], timeout=0.5)) is not None:
                yield one[1]
                yield from client.rpop(self.side.line, 10_000) or []


def _headers(raw: bytes) -> dict[str, Any]:
    """Of a message; {} of a canary."""
    try:
        return dict(json.loads(raw)["headers"])
    except (ValueError, KeyError, TypeError):
        return {}
