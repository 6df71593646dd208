"""Processes that tests start: each in a session of its own, with a log file, ended by its pid."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A running command. Leaves nothing behind after `stop` or `kill`, not even children."""

    #: Seconds it gets to end when its test has ended.
    grace = 5.0

    def __init__(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                list(command),
                cwd=options.pop("cwd", ROOT),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def output(self) -> str:
        """All that it wrote to standard output and standard error so far."""
        return self.log.read_text(errors="replace")

    def children(self) -> list[int]:
        """The pids it started, and those they started: of a worker, the processes that run task bodies."""
        try:
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def signal(self, number: int) -> None:
        """Send a signal to the process itself, not to its children."""
        self.popen.send_signal(number)

    def pause(self) -> None:
        """Make it silent: it keeps its sockets and answers nobody."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self, grace: float = 10) -> int:
        """Ask it to end (SIGTERM), take what is left after `grace` seconds by force; the exit code."""
        if self.running:
            self.popen.terminate()
            self.popen.send_signal(signal.SIGCONT)
        return self.ended(grace)

    def ended(self, grace: float = 10) -> int:
        """Wait for its end, at most `grace` seconds, then end what is left of its session by force."""
        try:
            self.popen.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to it and to every process of its session."""
        for pid in _session(self.pid):
            kill(pid)
        return self.popen.wait(10)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to one process by its pid; one that is gone already is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _session(leader: int) -> list[int]:
    """The leader of a session and its members that still run."""
    return [leader, *(pid for pid in psutil.pids() if pid != leader and _session_of(pid) == leader)]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
