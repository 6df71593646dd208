"""The next ticks of a schedule, as a person reads them: in its own zone, and never at a time that does not exist."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from celery.schedules import ParseException, crontab, schedule
from django.utils import timezone
from django_celery_beat.clockedschedule import clocked
from django_celery_beat.models import CrontabSchedule, PeriodicTask

#: A cron line names each of its days at least once in so many (29 February on a given weekday: 40 years at most).
FARTHEST_DAY = 366 * 41


def next_ticks(row: PeriodicTask, number: int = 5, after: datetime | None = None) -> list[datetime]:
    """The next `number` ticks of an enabled row, aware; none of a disabled one or one that has run its only time."""
    after = after or timezone.now()
    if not row.enabled or (row.one_off and row.total_run_count):
        return []
    start = max(after, row.start_time - timedelta(microseconds=1)) if row.start_time else after
    ticks = takewhile(
        lambda tick: row.expires is None or tick <= row.expires, _before_the_year_10000(_ticks(row, start))
    )
    return list(islice(ticks, 1 if row.one_off else number))


def words(row: PeriodicTask) -> str:
    """When, for everybody who shows it: `every 5 minutes`, `At 09:00 AM, only on Monday (Europe/Paris)`."""
    if row.crontab:
        return _cron_words(row.crontab)
    return str(row.interval or row.clocked or row.solar or "never")


def _cron_words(cron: CrontabSchedule) -> str:
    """As django-celery-beat describes it, but of minute 0 it says only `Between 09:00 AM and 05:59 PM`."""
    zone = str(cron.timezone)
    said = str(cron.human_readable).removesuffix(f" {zone}")
    if cron.minute == "0" and ":59 " in said:
        said = said.replace(":59 ", ":00 ")
        said = said if said.startswith("Every") else f"Every hour {said[0].lower()}{said[1:]}"
    return f"{said} ({zone})"


def _ticks(row: PeriodicTask, after: datetime) -> Iterator[datetime]:
    try:
        plan: Any = row.schedule
    except (ValueError, ParseException):  # a row that names no time at all, such as 31 February
        return iter(())
    if isinstance(plan, crontab):
        return _cron_ticks(plan, after)
    if isinstance(plan, clocked):
        return (tick for tick in [plan.clocked_time] if tick > after)
    if type(plan) is schedule:
        return _interval_ticks(plan.run_every, row.last_run_at or row.date_changed or after, after)
    return iter(())


def _before_the_year_10000(ticks: Iterator[datetime]) -> Iterator[datetime]:
    try:
        yield from ticks
    except OverflowError:
        return


def _interval_ticks(every: timedelta, last: datetime, after: datetime) -> Iterator[datetime]:
    passed = max(0, (after - last) // every)
    tick = last + (passed + 1) * every
    while True:
        yield tick
        tick += every


def _cron_ticks(plan: crontab, after: datetime) -> Iterator[datetime]:
    zone = getattr(plan, "tz", None) or UTC
    first = after.astimezone(zone).date()
    # A gap moves a tick forward, at most into the next day: so the day before the first is looked at too.
    for days in range(-1, FARTHEST_DAY):
        day = first + timedelta(days=days)
        if _is_planned(plan, day):
            yield from (tick for tick in _ticks_of_day(plan, day, zone) if tick > after)


def _is_planned(plan: crontab, day: date) -> bool:
    weekday = day.isoweekday() % 7
    return day.month in plan.month_of_year and day.day in plan.day_of_month and weekday in plan.day_of_week


def _ticks_of_day(plan: crontab, day: date, zone: Any) -> list[datetime]:
    """A clock time that the day skips ticks after the gap; one that it has twice ticks the first time."""
    told = {
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
        for hour in plan.hour
        for minute in plan.minute
    }
    return [tick.astimezone(zone) for tick in sorted(told)]
