"""The drill's Redis: a Valkey of its own where it would be embedded; a given one, or that of a running `make run`."""

import shutil
import signal
from pathlib import Path

import redis
from django.conf import settings

from jobs import broker
from jobs.drill import crew
from jobs.drill.crew import Crew
from jobs.drill.errors import NoRedis
from jobs.supervisor import valkey
from jobs.supervisor.process import Process

#: Keys deleted by one command.
BATCH = 500


class Bell:
    """What can be done to it. Only a Valkey of our own is killed, frozen or emptied as a whole."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: Process | None = None
        self.port = 0

    @property
    def own(self) -> bool:
        return self.process is not None

    @property
    def url(self) -> str:
        return str(settings.REDIS_URL)

    def open(self, starter: Crew) -> None:
        """It answers: ours is started, a given one is asked."""
        if settings.REDIS_EMBEDDED and "redis_url" not in settings.DEVELOPMENT:
            self.port = valkey.port(self.directory)
            self.process = starter.start(valkey.part(self.directory, self.port))
            # This process enqueues too, and its client is made at the first ring.
            settings.REDIS_URL = valkey.url(self.port)
            self._wait()
        elif not broker.alive():
            raise NoRedis

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        assert self.process.popen is not None
        self.process.popen.wait()

    def restart(self, *, empty: bool) -> None:
        """Start it again after `kill`, with what it had or with nothing."""
        assert self.process is not None
        if empty:
            for kept in self.directory.glob("appendonly*"):
                shutil.rmtree(kept)
        self.process.start()
        self._wait()

    def freeze(self) -> None:
        """It takes connections and answers nobody."""
        assert self.process is not None
        crew.send(self.process, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        crew.send(self.process, signal.SIGCONT)

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def forget(self) -> int:
        """Delete the keys under our prefix, and no other; how many."""
        with self.client() as client:
            keys = list(client.scan_iter(match=f"{broker.PREFIX}*", count=BATCH))
            for start in range(0, len(keys), BATCH):
                client.unlink(*keys[start : start + BATCH])
        return len(keys)

    def cut(self, addresses: set[str]) -> int:
        """Close the connections that come from these addresses; how many."""
        with self.client() as client:
            found = [entry["addr"] for entry in client.client_list() if entry["addr"] in addresses]
            for address in found:
                client.client_kill_filter(addr=address)
        return len(found)

    def may_cut(self) -> bool:
        """Whether this Redis lets us look at its connections; many a managed one does not."""
        try:
            with self.client() as client:
                client.client_list()
        except redis.ResponseError:
            return False
        return True

    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5, socket_connect_timeout=5)

    def _wait(self) -> None:
        assert self.process is not None
        valkey.wait(self.port, lambda: self.process is not None and self.process.running)
