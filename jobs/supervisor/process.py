"""One running part: started in a session of its own, its output prefixed, started again when it dies."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import IO

from django.conf import settings

from jobs.supervisor.parts import Part

Say = Callable[[str], None]

#: Seconds until a dead part is started again, by how often it died soon after its start; the last one repeats.
BACKOFF = (1, 2, 5, 10, 30)
#: A part that lived this long (seconds) starts with a clean record.
STEADY = 60


class Process:
    """A part and the process that runs it now."""

    def __init__(self, part: Part, marks: Mapping[str, str], say: Say) -> None:
        self.part, self.marks, self.say = part, marks, say
        self.popen: subprocess.Popen[bytes] | None = None
        self._deaths = 0
        self._started = self._start_again = 0.0

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def start(self) -> None:
        """Start it in its own session: a Ctrl-C at the terminal reaches the supervisor alone."""
        self.popen = subprocess.Popen(
            self.part.command,
            cwd=settings.BASE_DIR,
            env={**os.environ, **self.part.environment, **self.marks, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started, self._start_again = time.monotonic(), 0.0
        assert self.popen.stdout is not None
        Thread(target=self._pass_on, args=(self.popen.stdout,), daemon=True).start()

    def tend(self) -> None:
        """Start it again when it has died, after a wait that grows with every early death."""
        if self.running:
            return
        if not self._start_again:
            self._mourn()
        elif time.monotonic() >= self._start_again:
            self.start()

    def terminate(self) -> None:
        """Ask it to end."""
        if self.running and self.popen is not None:
            self.popen.terminate()

    def kill(self) -> None:
        """End its whole group at once."""
        if self.popen is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)

    def _mourn(self) -> None:
        assert self.popen is not None
        self.kill()  # what its dead parent leaves would run on beside the successor
        lived = time.monotonic() - self._started
        self._deaths = 1 if lived > STEADY else self._deaths + 1
        wait = BACKOFF[min(self._deaths, len(BACKOFF)) - 1]
        self._start_again = time.monotonic() + wait
        self.say(f"{self.part.name} ended ({_how(self.popen.returncode)}); it starts again in {wait} s.")

    def _pass_on(self, output: IO[bytes]) -> None:
        prefix = f"{self.part.name:<15} | "
        with output:
            for line in output:
                self.say(prefix + line.decode(errors="replace").rstrip("\n"))


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
