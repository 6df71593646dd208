"""The parts of a station: which commands run, in which order they stop."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from jobs.queues import QueueSpec, declared


class Wave(IntEnum):
    """What stops together, first wave first: running jobs may still call the web's sandbox, and all need Valkey."""

    JOBS = 1
    WEB = 2
    VALKEY = 3


#: Seconds that running jobs have when the station stops; nothing kills us meanwhile, as it would in a container.
DRAIN = 10
#: Seconds a wave has to end before it is killed. With DRAIN the sum stays below 30.
PATIENCE = {Wave.JOBS: 6.0, Wave.WEB: 5.0, Wave.VALKEY: 4.0}


@dataclass(frozen=True)
class Part:
    """One process of the station as declared."""

    name: str
    command: tuple[str, ...]
    wave: Wave
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def patience(self) -> float:
        """Seconds between asking it to end and killing it."""
        return float(PATIENCE[self.wave] + (DRAIN if self.wave is Wave.JOBS else 0))


def web() -> Part:
    """The console, API and sandbox."""
    return Part("web", _module("gunicorn", "config.wsgi", "-c", "config/gunicorn.conf.py"), Wave.WEB)


def workers() -> list[Part]:
    """One worker for each declared queue."""
    return [worker(spec.name, spec.name, concurrency(spec)) for spec in declared().values() if spec.served]


def worker(name: str, queue: str, concurrency: int, environment: Mapping[str, str] | None = None) -> Part:
    """One worker, which drains on SIGTERM."""
    options = ["-Q", queue, "-c", str(concurrency), "-n", f"{name}@%h"]
    # SIGTERM as SIGQUIT: the soft shutdown, which waits for running jobs and then hands the rest back.
    drain = {"REMAP_SIGTERM": "SIGQUIT", "SOFT_SHUTDOWN_TIMEOUT": str(DRAIN)}
    return Part(f"worker-{name}", _celery("worker", *options), Wave.JOBS, {**drain, **(environment or {})})


def beat(name: str = "beat", environment: Mapping[str, str] | None = None) -> Part:
    """The schedules and the clock."""
    return Part(name, _celery("beat"), Wave.JOBS, environment or {})


def concurrency(spec: QueueSpec) -> int:
    """As declared, but at most two processes for each processor of this machine: a laptop doesn't need 33."""
    return min(spec.concurrency, 2 * (os.cpu_count() or 1))


def _celery(*arguments: Any) -> tuple[str, ...]:
    return _module("celery", "-A", "config", "--quiet", *arguments)


def _module(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)
