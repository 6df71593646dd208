"""The database's time between two questions. This host's clock is never asked: it may be hours off, or be set."""

import time
from datetime import datetime, timedelta


class Watch:
    """Set by what the database told, carried on by this process' monotonic clock. Never fast: set after the answer."""

    def __init__(self) -> None:
        self._told: datetime | None = None
        self._since = 0.0

    def set(self, told: datetime) -> None:
        self._told, self._since = told, time.monotonic()

    def now(self) -> datetime:
        """Aware; only after it was set."""
        assert self._told is not None
        return self._told + timedelta(seconds=time.monotonic() - self._since)

    def until(self, moment: datetime) -> float:
        """Seconds until then; less than 0 afterwards."""
        return (moment - self.now()).total_seconds()
