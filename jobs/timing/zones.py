"""Clock times of a zone as moments: what becomes of one that a day skips, or has twice."""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jobs.timing.errors import BadTiming

UTC_ZONE = ZoneInfo("UTC")
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


def zone_named(name: str) -> ZoneInfo:
    """The zone of this name. Raises `BadTiming` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadTiming(
            "timezone", name, "is not a time zone", "Write a name of the tz database, for example Europe/Paris."
        ) from None


@lru_cache(maxsize=8192)
def steady_offset(zone: ZoneInfo, day: date) -> timedelta | None:
    """The offset from UTC that all of the day has; None when clocks change in it, or at its edge."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    offset = (midnight - MINUTE).utcoffset()
    return offset if (midnight + DAY).replace(fold=1).utcoffset() == offset else None


def unsteady_days(zone: ZoneInfo, day: date) -> tuple[date, date]:
    """The first and the last of the days around `day` in which clocks change: a tick of one may come in another."""
    first = last = day
    while steady_offset(zone, first - DAY) is None:
        first -= DAY
    while steady_offset(zone, last + DAY) is None:
        last += DAY
    return first, last


def moments(wall: datetime, zone: ZoneInfo, twice: bool) -> list[datetime]:
    """When clocks show `wall` (naive): of a skipped time the first valid moment; of a double one the first, or both."""
    before, after = _offsets(wall, zone)
    if before < after:
        return [_end_of_gap(wall, zone)]
    first = (wall - before).replace(tzinfo=UTC)
    return [first, first + (before - after)] if twice and before > after else [first]


def time_of_two(moment: datetime, zone: ZoneInfo) -> int:
    """1 or 2, when clocks show this moment's time twice; otherwise 0."""
    local = moment.astimezone(zone)
    before, after = _offsets(local.replace(tzinfo=None, fold=0), zone)
    return local.fold + 1 if before > after else 0


def gap_before(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """The naive clock times [from, to) that clocks skip at this very moment."""
    before, after = (at.astimezone(zone).replace(tzinfo=None, fold=0) for at in (moment - SECOND, moment))
    return (before + SECOND, after) if after - before > SECOND else None


def _offsets(wall: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """The offsets before and after the change of clocks around `wall`; the same twice when there is none."""
    local = wall.replace(tzinfo=zone)
    return local.utcoffset() or timedelta(), local.replace(fold=1).utcoffset() or timedelta()


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after the gap that `wall` lies in: it is later than `wall` told by the clocks after it."""
    before, after = _offsets(wall, zone)
    earliest = (wall - after).replace(tzinfo=UTC)
    seconds = range((after - before) // SECOND + 1)
    passed = bisect_left(
        seconds, True, key=lambda second: (earliest + second * SECOND).astimezone(zone).utcoffset() == after
    )
    return earliest + passed * SECOND
