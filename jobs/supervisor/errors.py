"""Why a station can't start here; each sentence says what to do."""

from jobs.errors import JobError


class AlreadyRunning(JobError):
    """Another supervisor holds this DATA_DIR."""

    def __init__(self, directory: str, pid: int | None, url: str | None) -> None:
        self.directory, self.pid, self.url = directory, pid, url
        known = f" as process {pid} at {url}" if pid else ""
        super().__init__(
            f"Stationmaster already runs{known} (data in {directory}). "
            "Stop it with Ctrl-C there, or start a second one with another PORT and DATA_DIR."
        )


class PortTaken(JobError):
    """Another program listens where the console should."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        super().__init__(
            f"Port {port} on {host} is in use by another program. Choose another: make run PORT={port + 1}"
        )


class NoValkey(JobError):
    """The embedded Valkey can't run on this machine."""

    def __init__(self, fact: str) -> None:
        self.fact = fact
        super().__init__(f"The embedded Valkey can't run here: {fact}. Set REDIS_URL to a Redis 7 or Valkey server.")
