"""Rows of schedules as every door reads them: with all that belongs to them, and no bad row in the way of another."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast
from django.db.models.query import ModelIterable
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.errors import JobError

#: The four kinds of timing: the foreign keys of which a schedule has exactly one.
TIMINGS = ("interval", "crontab", "clocked", "solar")
ZONE = "crontab_zone"


class UnknownSchedule(JobError):
    """No schedule has this name or key."""

    def __init__(self, key: Any) -> None:
        self.key = key
        super().__init__(f"No schedule is named {key!r}. `manage.py schedules list` shows what there is.")


def schedule_rows() -> QuerySet[PeriodicTask]:
    """Every schedule by name, with its timing, policy and standing."""
    return readable(PeriodicTask.objects.order_by("name"))


def named(name: str) -> PeriodicTask:
    """The schedule of this name; raises UnknownSchedule."""
    row = schedule_rows().filter(name=name).first()
    if row is None:
        raise UnknownSchedule(name)
    return row


def readable(rows: QuerySet[PeriodicTask]) -> QuerySet[PeriodicTask]:
    """The rows with all that belongs to them; a zone that nobody knows stays text instead of ending the query."""
    joined = rows.select_related(*TIMINGS, "policy", "standing").defer("crontab__timezone")
    return _zoned(joined, "crontab__timezone")


def readable_lines(rows: QuerySet[CrontabSchedule]) -> QuerySet[CrontabSchedule]:
    """The same of crontab lines by themselves."""
    return _zoned(rows.defer("timezone"), "timezone")


def _zoned(rows: QuerySet[Any], zone: str) -> QuerySet[Any]:
    found = rows.annotate(**{ZONE: Cast(zone, CharField())})
    found._iterable_class = _Zoned  # type: ignore[attr-defined]
    return found


class _Zoned(ModelIterable):  # type: ignore[type-arg]
    """django-timezone-field raises where a row is read, so the zone is read as text and looked up here."""

    def __iter__(self) -> Iterator[Any]:
        for row in super().__iter__():
            line = row if isinstance(row, CrontabSchedule) else row.crontab
            if line is not None:
                line.__dict__["timezone"] = _zone(row.__dict__[ZONE])
            yield row


def _zone(name: str) -> ZoneInfo | str:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # ZoneInfoNotFoundError is a KeyError; a folder's name an OSError
        return name
