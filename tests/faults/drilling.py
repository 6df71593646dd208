"""`manage.py drill` with harder faults than it makes on a system that was given to it: the test makes them when asked.

Run as `python -m tests.faults.drilling FD COMMAND...`, where FD is this end of a pipe.
"""

import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

#: What the test breaks by itself, on which database: a server of its own that ends, starts again, falls silent.
POSTGRES = ("PostgreSQL killed", "PostgreSQL silent")
REDIS = ("given Redis killed", "given Redis killed and empty", "given Redis silent")


class Breaker(Thread):
    """The test's end of the pipe: breaks and mends what it is asked for."""

    def __init__(self, pipe: Connection, breaks: dict[str, Callable[[float], object]]) -> None:
        super().__init__(name="breaker", daemon=True)
        self.pipe, self.breaks = pipe, breaks
        self.trouble: list[BaseException] = []

    def run(self) -> None:
        try:
            while True:
                name, seconds = self.pipe.recv()
                self.breaks[name](seconds)
                self.pipe.send("mended")
        except (EOFError, OSError):
            pass
        except BaseException as error:
            self.trouble.append(error)
            self.pipe.close()


def ask(pipe: Connection, name: str, ground: Any) -> None:
    """The drill's end: the fault is over when the test says so."""
    pipe.send((name, ground.rng.uniform(0.5, 8)))
    assert pipe.recv() == "mended"


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from jobs.drill.faults import FAULTS, Fault

    pipe = Connection(int(sys.argv[1]))
    postgres = "postgresql" in settings.DATABASES["default"]["ENGINE"]
    FAULTS.extend(Fault(name, partial(ask, pipe, name)) for name in (*(POSTGRES if postgres else ()), *REDIS))
    execute_from_command_line(["manage.py", *sys.argv[2:]])


if __name__ == "__main__":
    main()
