"""A schedule's row as the planner takes it; what nobody can read raises BrokenSchedule or BadTiming, and says why."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django_celery_beat.models import PeriodicTask

from jobs.conf import conf
from jobs.models import SchedulePolicy
from jobs.policies import Missed, Overlap
from jobs.schedules.errors import BrokenSchedule
from jobs.schedules.rows import TIMINGS
from jobs.timing.cron import Cron
from jobs.timing.every import Every
from jobs.timing.once import Once
from jobs.timing.plan import Policy, Schedule, Timing
from jobs.timing.sun import Sun
from jobs.timing.zones import zone_named

CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
PERIODS = ("days", "hours", "minutes", "seconds", "microseconds")


def schedule_of(row: PeriodicTask, anchor: datetime) -> Schedule:
    """What is planned; an interval without a start counts from the anchor. Raises BrokenSchedule, BadTiming."""
    return Schedule(timing_of(row, anchor), row.start_time, row.expires, row.one_off, str(row.pk))


def policy_of(row: PeriodicTask) -> Policy:
    """Its policy, or the defaults; what skips missed ticks knows how late a tick may be."""
    kept = getattr(row, "policy", None) or SchedulePolicy()
    lateness = kept.max_lateness
    if lateness is None and kept.missed == Missed.SKIP:
        lateness = conf().late_after
    return Policy(Missed(kept.missed), kept.missed_limit, lateness, kept.jitter, Overlap(kept.overlap))


def timing_of(row: PeriodicTask, anchor: datetime) -> Timing:
    """Its one timing. Raises BrokenSchedule, BadTiming."""
    try:
        found = [(name, timing) for name in TIMINGS if (timing := getattr(row, name)) is not None]
    except ObjectDoesNotExist as gone:
        raise BrokenSchedule("Its timing was deleted. Choose another.") from gone
    if not found:
        raise BrokenSchedule("It has no timing. Choose an interval, a crontab line, a time or an event of the sun.")
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise BrokenSchedule(f"It has more than one timing: {names}. Keep one of them.")
    [(name, timing)] = found
    return _READERS[name](timing, anchor)


def fingerprint(row: PeriodicTask) -> str:
    """The timing as text, readable or not: another text is another timing, which starts at the moment of the edit."""
    parts = [f"start {row.start_time.isoformat()}"] if row.start_time else []
    for name in TIMINGS:
        timing = getattr(row, name)
        if timing is not None:
            columns = [field.attname for field in timing._meta.concrete_fields if not field.primary_key]
            parts.append(f"{name} {' '.join(str(getattr(timing, column)) for column in columns)}")
    return "; ".join(parts)


def _cron(row: Any, _: datetime) -> Timing:
    return _cron_of(*(str(getattr(row, name)) for name in CRON_FIELDS), str(row.timezone))


@lru_cache(maxsize=20_000)
def _cron_of(minute: str, hour: str, day_of_month: str, month_of_year: str, day_of_week: str, zone: str) -> Cron:
    """Many schedules share a line, and it is read at each of their ticks."""
    return Cron(minute, hour, day_of_month, month_of_year, day_of_week, zone=zone_named(zone))


def _every(row: Any, anchor: datetime) -> Timing:
    if row.period not in PERIODS:
        raise BrokenSchedule(f"Its interval counts in {row.period!r}. Take one of {', '.join(PERIODS)}.")
    try:
        every = timedelta(**{row.period: row.every})
    except (OverflowError, TypeError) as error:
        raise BrokenSchedule(
            f"Its interval, {row.every} {row.period}, can't be counted. Take a shorter one."
        ) from error
    return Every(every, anchor)


def _once(row: Any, _: datetime) -> Timing:
    return Once(row.clocked_time)


def _sun(row: Any, _: datetime) -> Timing:
    return Sun(row.event, float(row.latitude), float(row.longitude))


_READERS: dict[str, Callable[[Any, datetime], Timing]] = {
    "interval": _every,
    "crontab": _cron,
    "clocked": _once,
    "solar": _sun,
}
