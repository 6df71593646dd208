"""The station: everything started, tended, and ended in order."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from django.conf import settings
from django.db import connections

from jobs.supervisor import census, parts, valkey, welcome
from jobs.supervisor.development import announced
from jobs.supervisor.errors import PortTaken
from jobs.supervisor.first_run import Keys, prepare
from jobs.supervisor.lock import only_one
from jobs.supervisor.parts import Part, Wave
from jobs.supervisor.process import Process
from jobs.supervisor.wishes import Wishes

#: The names that mark our processes in their environment; the value is DATA_DIR. Valkey's own, for it ends last.
RUN, BELL = "STATIONMASTER_RUN", "STATIONMASTER_VALKEY"
#: Seconds after which we say that the web does not answer.
WEB_PATIENCE = 60


def run() -> None:
    """Start the station and keep it running until a signal; returns when no process of it is left.

    Raises AlreadyRunning, PortTaken or NoValkey before anything is started.
    """
    with only_one(settings.DATA_DIR, welcome.url()):
        wishes = Wishes()
        census.adopt_orphans()
        _clear_leftovers()
        if not valkey.free(settings.HOST, settings.PORT):
            raise PortTaken(settings.HOST, settings.PORT)
        station = Station(wishes)
        try:
            with station.bell():
                station.serve(_prepared())
        finally:
            station.end()


class Station:
    """The running parts."""

    def __init__(self, wishes: Wishes) -> None:
        self.wishes = wishes
        self.processes: list[Process] = []
        self._output = Lock()

    @contextmanager
    def bell(self) -> Iterator[None]:
        """The embedded Valkey answers (unless a broker was given), and commands beside us find it."""
        if not settings.REDIS_EMBEDDED:
            with announced(settings.DATA_DIR, url=welcome.url(), port=settings.PORT):
                yield
            return
        directory = settings.DATA_DIR / "valkey"
        port = valkey.port(directory)
        process = self._start(valkey.part(directory, port), BELL)
        valkey.wait(port, lambda: process.running)
        with announced(settings.DATA_DIR, url=welcome.url(), redis_url=valkey.url(port), port=settings.PORT):
            yield

    def serve(self, keys: Keys) -> None:
        """Start web, workers and beat, say hello, and tend all until someone wishes to stop."""
        if not self.wishes.stop.is_set():
            for part in [parts.web(), *parts.workers(), parts.beat()]:
                self._start(part, RUN)
            self._greet(keys)
        while not self.wishes.stop.wait(0.2):
            self._tend()
        self.say(f"Stopping: running jobs have up to {parts.DRAIN} s, then they are handed back.")
        for wave in Wave:
            self._end([process for process in self.processes if process.part.wave is wave])

    def end(self) -> None:
        """Whatever happened: kill what is left, also what left our sessions."""
        for process in self.processes:
            process.kill()
        census.kill(_remaining)

    def say(self, line: str) -> None:
        """One line to the terminal; a terminal that is gone is no reason to fail."""
        with self._output, suppress(OSError, ValueError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def _start(self, part: Part, mark: str) -> Process:
        process = Process(part, {mark: str(settings.DATA_DIR)}, self.say)
        process.start()
        self.processes.append(process)
        return process

    def _greet(self, keys: Keys) -> None:
        deadline = time.monotonic() + WEB_PATIENCE
        while not welcome.web_answers() and not self.wishes.stop.wait(0.2):
            self._tend()
            if time.monotonic() > deadline:
                self.say("The web does not answer yet; what hinders it stands above.")
                break
        self.say(welcome.block(keys))

    def _tend(self) -> None:
        for process in self.processes:
            process.tend()
        census.bury_orphans({process.popen.pid for process in self.processes if process.popen})

    def _end(self, wave: list[Process]) -> None:
        for process in wave:
            process.terminate()
        started = time.monotonic()
        while running := [process for process in wave if process.running]:
            late = [p for p in running if time.monotonic() - started > p.part.patience or self.wishes.hurry.is_set()]
            for process in late:
                self.say(f"{process.part.name} is killed: it did not end in time.")
                process.kill()
            time.sleep(0.1)


def _prepared() -> Keys:
    keys = prepare()
    connections.close_all()
    return keys


def _clear_leftovers() -> None:
    """End what a killed supervisor left: first what works, then its Valkey."""
    census.end(lambda: _marked(RUN), parts.DRAIN + parts.PATIENCE[Wave.JOBS])
    census.end(lambda: _marked(BELL), parts.PATIENCE[Wave.VALKEY])


def _remaining() -> set[int]:
    census.bury_orphans(())
    return census.descendants() | _marked(RUN) | _marked(BELL)


def _marked(name: str) -> set[int]:
    return census.marked(f"{name}={settings.DATA_DIR}")
