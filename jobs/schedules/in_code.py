"""Schedules declared in code, Celery's own way: `app.conf.beat_schedule`."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from celery.beat import ScheduleEntry
from celery.schedules import BaseSchedule, crontab, maybe_schedule, schedule, solar
from django_celery_beat.clockedschedule import clocked
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
)

from jobs.schedules.declared import COLUMNS, Declared, Problem, TimingRow

SOURCE = "beat_schedule"
#: Keys of an entry; and, as django-celery-beat takes them, the row's own columns.
ENTRY = frozenset({"task", "schedule", "args", "kwargs", "options", "relative"})
BY_COLUMN = {column: word for word, column in COLUMNS.items()}
MICROSECOND = timedelta(microseconds=1)


class _Unfit(Exception):
    """(key, message) of an entry that no row can hold."""


def declared(app: Any) -> tuple[list[Declared], list[Problem]]:
    """What `beat_schedule` declares, and what is wrong with the entries that can't be rows."""
    found, problems = [], []
    for name, entry in (app.conf.beat_schedule or {}).items():
        try:
            found.append(_declared(app, str(name), _keys(entry)))
        except _Unfit as unfit:
            problems.append(Problem(str(name), *unfit.args))
        except (TypeError, ValueError, OverflowError) as error:
            problems.append(Problem(str(name), "", f"It can't be read: {error}. Correct the entry."))
    return found, problems


def _keys(entry: Any) -> dict[str, Any]:
    if isinstance(entry, ScheduleEntry):
        return {name: getattr(entry, name) for name in ("task", "schedule", "args", "kwargs", "options")}
    if not isinstance(entry, Mapping) or not {"task", "schedule"} <= entry.keys():
        raise _Unfit("", 'It is no entry. Write {"task": "name", "schedule": crontab(hour=2)}.')
    return dict(entry)


def _declared(app: Any, name: str, entry: dict[str, Any]) -> Declared:
    named = dict(_named(entry))
    timing = _timing(app, entry["schedule"])
    if isinstance(timing, ClockedSchedule):
        named.setdefault("one_off", True)
    return Declared(name, SOURCE, timing, {"task": str(entry["task"]), **named})


def _named(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if entry.get("args"):
        yield "args", list(entry["args"])
    if entry.get("kwargs"):
        yield "kwargs", dict(entry["kwargs"])
    for key, value in entry.items():
        if key in ENTRY:
            continue
        if key not in BY_COLUMN:
            raise _Unfit(key, "A schedule's row can't hold this key. Leave it out.")
        yield BY_COLUMN[key], value
    for key, value in (entry.get("options") or {}).items():
        yield _option(key, value)


def _option(key: str, value: Any) -> tuple[str, Any]:
    """As `apply_async` takes them, of those that a row can hold."""
    if key in ("queue", "exchange", "routing_key"):
        return key, str(getattr(value, "name", value))
    if key in ("priority", "headers", "expire_seconds"):
        return key, value
    if key == "expires" and isinstance(value, datetime):
        return "end", value
    if key == "expires":
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
        return "expire_seconds", max(1, round(seconds))
    raise _Unfit(f"options.{key}", "A schedule's row can't hold this option. Set it on the task itself.")


def _timing(app: Any, given: Any) -> TimingRow:
    if not isinstance(given, int | float | timedelta | BaseSchedule):
        raise _Unfit("schedule", f"{given!r} is no schedule. Use crontab, solar, a timedelta or seconds.")
    plan = maybe_schedule(given, app=app)
    if isinstance(plan, crontab):
        return _cron(plan, app)
    if isinstance(plan, solar):
        return SolarSchedule(event=plan.event, latitude=_degrees(plan.lat), longitude=_degrees(plan.lon))
    if isinstance(plan, clocked):
        return ClockedSchedule(clocked_time=plan.clocked_time)
    if type(plan) is schedule:
        return _interval(plan.run_every)
    raise _Unfit("schedule", f"A row can't hold {type(given).__name__}. Use crontab, solar, a timedelta or seconds.")


def _cron(plan: crontab, app: Any) -> CrontabSchedule:
    fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    line = {name: _field(getattr(plan, f"_orig_{name}")) for name in fields}
    zone = getattr(plan, "tz", None) or app.timezone
    return CrontabSchedule(**line, timezone=str(zone))


def _field(value: Any) -> str:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str(value).replace(" ", "")
    return ",".join(str(one) for one in sorted(value, key=str))


def _degrees(value: float) -> Decimal:
    """As the row keeps it."""
    return Decimal(str(value)).quantize(Decimal("0.000001"))


def _interval(every: timedelta) -> IntervalSchedule:
    """In whole seconds, or in microseconds if they are none."""
    if every % timedelta(seconds=1):
        return IntervalSchedule(every=every // MICROSECOND, period=IntervalSchedule.MICROSECONDS)
    return IntervalSchedule(every=every // timedelta(seconds=1), period=IntervalSchedule.SECONDS)
