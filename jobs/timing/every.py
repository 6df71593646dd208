"""When an interval ticks: counted from its anchor by elapsed time, so it never drifts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from zoneinfo import ZoneInfo

from jobs.timing.errors import BadTiming
from jobs.timing.zones import SECOND, UTC_ZONE


@dataclass(frozen=True)
class Every:
    """Ticks at anchor + k * every, for k = 1, 2, ...; raises `BadTiming` for less than a second."""

    every: timedelta
    anchor: datetime
    zone: ZoneInfo = UTC_ZONE
    #: The least k: 0 when the anchor is a tick itself.
    first: int = 1

    def __post_init__(self) -> None:
        if self.every < SECOND:
            raise BadTiming("every", self.every, "is less than a second", "Write an interval of 1 second or more.")

    def counted_from(self, start: datetime) -> "Every":
        """The same, with its first tick at `start`."""
        return replace(self, anchor=start, first=0)

    def after(self, moment: datetime) -> Iterator[datetime]:
        for number in numbers(max(self.first, self._passed(moment) + 1)):
            try:
                yield self.anchor.astimezone(UTC) + number * self.every
            except OverflowError:  # the end of year 9999
                return

    def before(self, moment: datetime) -> Iterator[datetime]:
        for number in range(self._passed(moment), self.first - 1, -1):
            yield self.anchor.astimezone(UTC) + number * self.every

    def count(self, after: datetime, until: datetime) -> int:
        least = self.first - 1
        return max(0, max(least, self._passed(until)) - max(least, self._passed(after)))

    def _passed(self, moment: datetime) -> int:
        """The greatest k whose time is not after `moment`."""
        return (moment.astimezone(UTC) - self.anchor.astimezone(UTC)) // self.every
