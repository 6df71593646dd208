"""When a clocked schedule ticks: once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from jobs.timing.zones import UTC_ZONE


@dataclass(frozen=True)
class Once:
    """One tick, at an aware moment."""

    at: datetime
    zone: ZoneInfo = UTC_ZONE

    def after(self, moment: datetime) -> Iterator[datetime]:
        tick = self.at.astimezone(UTC)
        return iter([tick] if tick > moment else [])

    def before(self, moment: datetime) -> Iterator[datetime]:
        tick = self.at.astimezone(UTC)
        return iter([tick] if tick <= moment else [])

    def count(self, after: datetime, until: datetime) -> int:
        return int(after < self.at.astimezone(UTC) <= until)
