"""Where faults strike: the drill's own processes, its Redis, the database; and waits that can be ended."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from django.db import connections, router

from jobs.drill.bell import Bell
from jobs.drill.crew import Crew
from jobs.models import Job

#: Seconds between two looks.
LOOK = 0.25


class Stopped(Exception):
    """Somebody wishes the drill to end: what is broken is mended on the way out."""


@dataclass
class Ground:
    """What a fault gets to work on."""

    run: str
    rng: random.Random
    crew: Crew
    bell: Bell
    stop: Event
    using: str = field(default_factory=lambda: router.db_for_write(Job))

    @property
    def vendor(self) -> str:
        return connections[self.using].vendor

    def hold(self, least: float, most: float | None = None) -> None:
        """Wait so many seconds (drawn between the two); raises Stopped as soon as somebody wishes to end."""
        if self.stop.wait(least if most is None else self.rng.uniform(least, most)):
            raise Stopped

    def wait(self, look: Callable[[], bool], timeout: float) -> bool:
        """Whether `look` became true in time, before somebody wished to end."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not self.stop.is_set():
            if look():
                return True
            self.stop.wait(LOOK)
        return False

    def connection(self) -> Any:
        """A database connection beside this thread's own, to be closed by whoever asked."""
        return connections.create_connection(self.using)
