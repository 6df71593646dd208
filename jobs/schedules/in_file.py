"""Schedules declared in a YAML file: names, each with task, timing and whatever else it is to have."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
)

from jobs.errors import JobError
from jobs.schedules.declared import COLUMNS, POLICY, Declared, Problem, TimingRow
from jobs.schedules.yaml_file import read
from jobs.timing.times import BadTime, moment
from jobs.timing.zones import zone_named

LINE = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
PERIODS = ("seconds", "minutes", "hours", "days")
TIMING_KEYS = ("cron", "every", "at", "sun")
#: Exchanges mean nothing here; code that names them was written for another broker.
COLUMN_KEYS = tuple(key for key in COLUMNS if key not in ("exchange", "routing_key"))
KEYS = (*TIMING_KEYS, "zone", *COLUMN_KEYS, *POLICY)
#: What the value of a key must be; the others are looked at where they are read.
KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "task": (str, "text"),
    "args": (list, "a list"),
    "kwargs": (dict, "a mapping"),
    "headers": (dict, "a mapping"),
    "queue": (str, "text"),
    "description": (str, "text"),
    "priority": (int, "a whole number"),
    "expire_seconds": (int, "a whole number"),
    "one_off": (bool, "true or false"),
    "enabled": (bool, "true or false"),
    "missed": (str, "text"),
    "overlap": (str, "text"),
    **dict.fromkeys(("missed_limit", "max_lateness", "jitter", "pause_after"), (int, "a whole number")),
}
#: Those that may be written empty: as if they had never been set.
NULLABLE = frozenset({"queue", "priority", "expire_seconds", "start", "end", "max_lateness"})


class _Unfit(Exception):
    """(key, message) of what an entry says wrongly."""


def declared(path: Path) -> tuple[list[Declared], list[Problem]]:
    """What the file declares, and every problem in it. Raises FileRefused for what is no such file."""
    found, problems = [], []
    for name, entry in read(path).items():
        try:
            found.append(_Entry(str(name), entry).declared(str(path)))
        except _Several as several:
            problems += several.problems
    return found, problems


class _Several(Exception):
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems


class _Entry:
    """One schedule of the file. Every fault in it is told, not only the first."""

    def __init__(self, name: str, entry: Any) -> None:
        self.name, self.problems = name, list[Problem]()
        self.given: dict[str, Any] = entry if isinstance(entry, dict) else {}
        if not self.given:
            self.wrong("", "It is no mapping. Write its task and timing below the name, indented.")

    def declared(self, source: str) -> Declared:
        for key in self.given:
            if key not in KEYS:
                self.wrong(str(key), f"There is no such key. Take one of {', '.join(KEYS)}.")
        if self.given and "task" not in self.given:
            self.wrong("task", "It is missing. Name the task.")
        zone = self.tried("zone", self.zone) or ZoneInfo("UTC")
        timing = self.tried("timing", lambda: self.timing(zone))
        named = {key: self.tried(key, partial(self.value, key, zone)) for key in COLUMN_KEYS if key in self.given}
        policy = {key: self.tried(key, partial(self.value, key, zone)) for key in POLICY if key in self.given}
        if self.problems or timing is None:
            raise _Several(self.problems)
        if "at" in self.given:
            named.setdefault("one_off", True)
        return Declared(self.name, source, timing, named, policy)

    def wrong(self, key: str, message: str) -> None:
        self.problems.append(Problem(self.name, key, message))

    def tried(self, key: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except _Unfit as unfit:
            self.wrong(*unfit.args)
        except JobError as error:
            self.wrong(key, str(error))
        return None

    def zone(self) -> ZoneInfo:
        given = self.given.get("zone", "UTC")
        if not isinstance(given, str):
            raise _Unfit("zone", f"{given!r} is no name of a zone. Write one, such as Europe/Paris.")
        return zone_named(given)

    def timing(self, zone: ZoneInfo) -> TimingRow | None:
        chosen = [key for key in TIMING_KEYS if key in self.given]
        if not self.given:
            return None
        if len(chosen) != 1:
            found = " and ".join(chosen) or "none"
            raise _Unfit("timing", f"It has {found}. Write exactly one of {', '.join(TIMING_KEYS)}.")
        [key] = chosen
        given = self.given[key]
        if key == "at":
            return ClockedSchedule(clocked_time=_time(key, given, zone))
        return {"cron": _cron, "every": _every, "sun": _sun}[key](given, zone)

    def value(self, key: str, zone: ZoneInfo) -> Any:
        value = self.given[key]
        if value is None and key in NULLABLE:
            return None
        if key in ("start", "end"):
            return _time(key, value, zone)
        kind, called = KINDS[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _Unfit(key, f"{value!r} is not {called}. Write {called}.")
        return _plain(key, value)


def _cron(given: Any, zone: ZoneInfo) -> CrontabSchedule:
    parts = given.split() if isinstance(given, str) else []
    if len(parts) != len(LINE):
        raise _Unfit(
            "cron", f'{given!r} is no line of five fields. Write minute, hour, day, month, weekday: "30 2 * * 1-5".'
        )
    return CrontabSchedule(**dict(zip(LINE, parts, strict=True)), timezone=zone)


def _every(given: Any, _: ZoneInfo) -> IntervalSchedule:
    number, _space, period = given.partition(" ") if isinstance(given, str) else (str(given), "", "seconds")
    period = period.strip() if period.strip().endswith("s") else f"{period.strip()}s"
    if isinstance(given, bool) or not number.isdecimal() or period not in PERIODS:
        raise _Unfit("every", f"{given!r} is no interval. Write seconds as a number, or such as 5 minutes, 2 hours.")
    return IntervalSchedule(every=int(number), period=period)


def _sun(given: Any, _: ZoneInfo) -> SolarSchedule:
    wanted = {"event", "latitude", "longitude"}
    if not isinstance(given, dict) or given.keys() != wanted:
        raise _Unfit("sun", "Write exactly event, latitude and longitude below it.")
    return SolarSchedule(
        event=str(given["event"]),
        latitude=_degrees("latitude", given["latitude"]),
        longitude=_degrees("longitude", given["longitude"]),
    )


def _degrees(key: str, value: Any) -> Decimal:
    try:
        return Decimal(str(value)).quantize(Decimal("0.000001"))
    except InvalidOperation:
        raise _Unfit("sun", f"The {key} {value!r} is no number of degrees. Write one, such as 48.85.") from None


def _time(key: str, value: Any, zone: ZoneInfo) -> datetime:
    """YAML reads what looks like a time; a time without an offset is meant in the entry's zone."""
    try:
        if isinstance(value, datetime):
            return value if timezone.is_aware(value) else moment(value.isoformat(), zone)
        return moment(value if isinstance(value, str) else str(value), zone)
    except BadTime as bad:
        raise _Unfit(key, str(bad)) from None


def _plain(key: str, value: Any) -> Any:
    """Arguments as JSON can hold them: a time that YAML read is text again."""
    if isinstance(value, Mapping):
        return {str(name): _plain(key, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(key, item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise _Unfit(key, f"{value!r} is nothing that JSON can hold. Write text.")
