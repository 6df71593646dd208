"""The workers and beats that the drill starts itself: no other process is ever struck."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from jobs.queues import DRILL
from jobs.supervisor import census, parts
from jobs.supervisor.parts import Part
from jobs.supervisor.process import Process

#: Marks our processes in their environment; the value is DATA_DIR.
MARK = "STATIONMASTER_DRILL"
TASKS = "jobs.drill.tasks"
#: Seconds that the soft shutdown waits for running jobs: short, so that it has something to hand back.
DRAIN = 1
#: Seconds that workers and beats have to end at the end.
ORDERLY = 8


class Crew:
    """Running parts, each with a log file of its own, and a way to strike them."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self.logs = logs
        modules = ",".join([*settings.CELERY_IMPORTS, TASKS])
        self.environment = {"JOBS_TASK_MODULES": modules, "SOFT_SHUTDOWN_TIMEOUT": str(DRAIN), **environment}
        self.workers: list[Process] = []
        self.beats: list[Process] = []

    def add_worker(self) -> Process:
        """One more worker of the drill's queue."""
        part = parts.worker(f"drill-{len(self.workers) + 1}", DRILL.name, DRILL.concurrency, self.environment)
        self.workers.append(self.start(part))
        return self.workers[-1]

    def add_beat(self) -> Process:
        """One more beat."""
        part = parts.beat(f"drill-beat-{len(self.beats) + 1}", self.environment)
        self.beats.append(self.start(part))
        return self.beats[-1]

    def start(self, part: Part) -> Process:
        """Any part, its output in the run's directory."""
        process = Process(part, {MARK: str(settings.DATA_DIR)}, _writer(self.logs / f"{part.name}.log"))
        process.start()
        return process

    def revive(self) -> list[str]:
        """Start again what ended by itself, as whoever supervises a station does; the names."""
        ended = [process for process in (*self.workers, *self.beats) if not process.running]
        for process in ended:
            process.start()
        return [process.part.name for process in ended]

    def end(self) -> None:
        """Workers and beats are stopped in order; then nothing that was started is left, whatever state it is in."""
        for process in (*self.workers, *self.beats):
            send(process, signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + ORDERLY
        while any(process.running for process in (*self.workers, *self.beats)) and time.monotonic() < deadline:
            time.sleep(0.1)
        census.kill(marked)


def marked() -> set[int]:
    """The living processes of this DATA_DIR's drill, their children among them."""
    return census.marked(f"{MARK}={settings.DATA_DIR}")


def pid(process: Process) -> int:
    assert process.popen is not None
    return process.popen.pid


def send(process: Process, number: signal.Signals, *, whole: bool = True) -> None:
    """A signal to the process, and to its children if the `whole` is meant."""
    with suppress(ProcessLookupError):
        (os.killpg if whole else os.kill)(pid(process), number)


def children(process: Process) -> list[int]:
    """Of a worker: the processes that run task bodies."""
    return sorted(census.descendants(pid(process)))


def stop(process: Process) -> bool:
    """Ask it to end; False if it had to be killed because it did not within its patience."""
    process.terminate()
    deadline = time.monotonic() + process.part.patience
    while process.running and time.monotonic() < deadline:
        time.sleep(0.1)
    if clean := not process.running:
        return clean
    process.kill()
    return False


def _writer(path: Path) -> Callable[[str], None]:
    def write(line: str) -> None:
        with path.open("a") as file:
            file.write(f"{line}\n")

    return write
