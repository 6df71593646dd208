"""When a crontab line ticks: Celery's syntax, in a zone, with a stated rule for the days on which clocks change.

A clock time that the day skips ticks at the first valid moment after it. One that it has twice ticks the first time,
when hours are listed; with a wildcard hour (`*`, `*/n`) ticks follow elapsed time, so it ticks both times. Day of month
and day of week must both hold, as Celery has it.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from celery.schedules import ParseException, crontab_parser

from jobs.timing.errors import BadTiming
from jobs.timing.zones import DAY, SECOND, UTC_ZONE, gap_before, moments, steady_offset, unsteady_days

#: Ticks are looked for in these years: one day more, or a zone, and dates would end.
FIRST_YEAR, LAST_YEAR = 2, MAXYEAR - 1
#: The five fields: how many values one has, the least of them, and what may be written.
FIELDS = {
    "minute": (60, 0, "Write minutes from 0 to 59, for example 30, 0,15, 5-10 or */15."),
    "hour": (24, 0, "Write hours from 0 to 23, for example 9, 9,17, 9-17 or */2."),
    "day_of_month": (31, 1, "Write days from 1 to 31, for example 1, 1,15, 1-7 or *."),
    "month_of_year": (12, 1, "Write months from 1 to 12 or their names, for example 1, jan-mar or *."),
    "day_of_week": (7, 0, "Write days from 0 (Sunday) to 6 or their names, for example mon, mon-fri or *."),
}
LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


@dataclass(frozen=True)
class Cron:
    """Ticks of a crontab line. Raises `BadTiming` for one that can't be read, or that names no day of any year."""

    minute: str = "*"
    hour: str = "*"
    day_of_month: str = "*"
    month_of_year: str = "*"
    day_of_week: str = "*"
    zone: ZoneInfo = field(default=UTC_ZONE, kw_only=True)

    def __post_init__(self) -> None:
        _line(*self.fields)

    @property
    def fields(self) -> tuple[str, str, str, str, str]:
        """As they are written, in the order of a crontab line."""
        return self.minute, self.hour, self.day_of_month, self.month_of_year, self.day_of_week

    @property
    def line(self) -> "Line":
        """As they are read."""
        return _line(*self.fields)

    def after(self, moment: datetime) -> Iterator[datetime]:
        for base, seconds in self._stretches(moment, 1):
            passed = bisect_right(seconds, (moment - base) // SECOND)
            yield from (base + timedelta(seconds=second) for second in islice(seconds, passed, None))

    def before(self, moment: datetime) -> Iterator[datetime]:
        for base, seconds in self._stretches(moment, -1):
            passed = bisect_right(seconds, (moment - base) // SECOND)
            yield from (base + timedelta(seconds=seconds[place]) for place in range(passed - 1, -1, -1))

    def count(self, after: datetime, until: datetime) -> int:
        total = 0
        for base, seconds in self._stretches(after, 1):
            if base > until:
                break
            passed = bisect_right(seconds, (after - base) // SECOND)
            total += max(0, bisect_right(seconds, (until - base) // SECOND) - passed)
        return total

    def missing_time(self, tick: datetime) -> datetime | None:
        """The clock time, naive, that this tick stands for, when clocks skip it."""
        gap = gap_before(tick, self.zone)
        if gap is None:
            return None
        days = self.days(gap[0].date(), 1)
        walls = chain.from_iterable(_walls(self.line, day) for day in _up_to(days, gap[1].date()))
        return next((wall for wall in walls if gap[0] <= wall < gap[1]), None)

    def days(self, start: date, step: int) -> Iterator[date]:
        """The days that the line names from `start` on: forward with step 1, backward with -1."""
        line = self.line
        last = LAST_YEAR if step > 0 else FIRST_YEAR
        for year in range(start.year, last + step, step):
            for month in line.months[::step]:
                if year == start.year and (month - start.month) * step < 0:
                    continue
                for day in _days_of_month(line.days, line.weekdays, year, month)[::step]:
                    if (day - start).days * step >= 0:
                        yield day

    def _stretches(self, moment: datetime, step: int) -> Iterator["Stretch"]:
        """The days' ticks, in order of time, from the day of `moment` on: forward with step 1, backward with -1."""
        line = self.line
        done: date | None = None
        for day in self.days(_edge_of_day(moment, self.zone, step), step):
            if done and (day - done).days * step <= 0:
                continue
            offset = steady_offset(self.zone, day)
            if offset is not None:
                yield Stretch(datetime(day.year, day.month, day.day, tzinfo=UTC) - offset, line.seconds)
            else:
                first, last = unsteady_days(self.zone, day)
                yield _unsteady_stretch(self, first, last)
                done = last if step > 0 else first


class Line(NamedTuple):
    """A crontab line as it is read; values in order."""

    #: Of a day: each planned time, in seconds.
    seconds: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: frozenset[int]
    #: Ticks follow elapsed time through a double hour.
    follows_elapsed_time: bool


class Stretch(NamedTuple):
    """The ticks of one day, or of neighbouring days in which clocks change: seconds after a moment, in order."""

    base: datetime
    seconds: tuple[int, ...]


@lru_cache(maxsize=16384)
def _line(minute: str, hour: str, day_of_month: str, month_of_year: str, day_of_week: str) -> Line:
    texts = dict(zip(FIELDS, (minute, hour, day_of_month, month_of_year, day_of_week), strict=True))
    minutes, hours, days, months, weekdays = (_values(field, text) for field, text in texts.items())
    if not any(day <= LONGEST_MONTH.get(month, 31) for month in months for day in days):
        raise BadTiming(
            "day_of_month",
            day_of_month,
            f"never comes in month {month_of_year!r}",
            f"Write a day that the month has, for example {max(LONGEST_MONTH.get(month, 31) for month in months)}.",
        )
    seconds = tuple(3600 * hour + 60 * minute for hour in hours for minute in minutes)
    return Line(seconds, days, months, frozenset(weekdays), is_wildcard(hour))


def is_wildcard(text: str) -> bool:
    """Whether a field is `*` or `*/n`, and nothing more."""
    return text == "*" or (text.startswith("*/") and text[2:].isdigit())


def _values(field: str, text: str) -> tuple[int, ...]:
    number, least, instead = FIELDS[field]
    try:
        values = tuple(sorted(crontab_parser(number, least).parse(text)))
    except (ParseException, ValueError, TypeError, AttributeError):
        raise BadTiming(field, text, "can't be read", instead) from None
    if not values:
        raise BadTiming(field, text, "names no value", instead)
    return values


@lru_cache(maxsize=4096)
def _days_of_month(days: tuple[int, ...], weekdays: frozenset[int], year: int, month: int) -> tuple[date, ...]:
    """The days of one month that are among `days` and fall on one of `weekdays`."""
    length = monthrange(year, month)[1]
    dates = (date(year, month, day) for day in days if day <= length)
    return tuple(day for day in dates if day.isoweekday() % 7 in weekdays)


def _edge_of_day(moment: datetime, zone: ZoneInfo, step: int) -> date:
    """The day in `zone` to begin with: where clocks change, a tick of the day before or after may still count."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return date(LAST_YEAR, 12, 31) if moment.year > LAST_YEAR else date(FIRST_YEAR, 1, 1)
    day = moment.astimezone(zone).date()
    while steady_offset(zone, day - step * DAY) is None:
        day -= step * DAY
    return day


@lru_cache(maxsize=512)
def _unsteady_stretch(cron: Cron, first: date, last: date) -> Stretch:
    """The ticks of neighbouring days in which clocks change, by the rule. Cached: each tick of such a day asks."""
    line = cron.line
    walls = chain.from_iterable(_walls(line, day) for day in _up_to(cron.days(first, 1), last))
    ticks = {tick for wall in walls for tick in moments(wall, cron.zone, twice=line.follows_elapsed_time)}
    base = datetime(first.year, first.month, first.day, tzinfo=UTC) - DAY
    return Stretch(base, tuple(sorted((tick - base) // SECOND for tick in ticks)))


def _walls(line: Line, day: date) -> Iterator[datetime]:
    midnight = datetime(day.year, day.month, day.day)
    return (midnight + timedelta(seconds=second) for second in line.seconds)


def _up_to(days: Iterator[date], last: date) -> Iterator[date]:
    for day in days:
        if day > last:
            return
        yield day
