"""Schedules as code or a file declares them, and how one becomes a row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.db import transaction
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from jobs import activity
from jobs.messages import dumps
from jobs.models import SchedulePolicy
from jobs.schedules.rows import TIMINGS

#: What a declaration may name beside task and timing, and the column of the row.
COLUMNS = {
    "task": "task",
    "args": "args",
    "kwargs": "kwargs",
    "queue": "queue",
    "exchange": "exchange",
    "routing_key": "routing_key",
    "priority": "priority",
    "headers": "headers",
    "expire_seconds": "expire_seconds",
    "start": "start_time",
    "end": "expires",
    "one_off": "one_off",
    "enabled": "enabled",
    "description": "description",
}
POLICY = ("missed", "missed_limit", "max_lateness", "overlap", "jitter", "pause_after")
#: Kept as JSON text, and what an empty one means.
AS_JSON: dict[str, Any] = {"args": [], "kwargs": {}, "headers": {}}

#: A timing as a row of its own, not saved yet.
TimingRow: TypeAlias = IntervalSchedule | CrontabSchedule | ClockedSchedule | SolarSchedule
FIELD_OF: dict[type, str] = dict(
    zip((IntervalSchedule, CrontabSchedule, ClockedSchedule, SolarSchedule), TIMINGS, strict=True)
)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one declaration: its name, the key, and what to do."""

    name: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.name, self.key, self.message) if part)


@dataclass(frozen=True)
class Declared:
    """One schedule as it is wanted. What it does not name has its default when added, and is people's from then on."""

    name: str
    #: Who declares it, for the activity record.
    source: str
    timing: TimingRow
    #: By the words of COLUMNS; args, kwargs and headers as values, not as text.
    named: Mapping[str, Any]
    policy: Mapping[str, Any] = field(default_factory=dict)
    #: Of a new row only.
    at_first: Mapping[str, Any] = field(default_factory=dict)

    @property
    def timing_field(self) -> str:
        return FIELD_OF[type(self.timing)]

    def row(self) -> PeriodicTask:
        """The new row, not saved, nor is its timing."""
        one_off = {"one_off": True} if isinstance(self.timing, ClockedSchedule) else {}
        row = PeriodicTask(name=self.name, **one_off)
        self.write(row, {**self.at_first, **self.named})
        return row

    def write(self, row: PeriodicTask, named: Mapping[str, Any]) -> None:
        """Puts the timing and these values into the row, saving nothing."""
        for timing in TIMINGS:
            setattr(row, timing, self.timing if timing == self.timing_field else None)
        for word, value in named.items():
            setattr(row, COLUMNS[word], dumps(value) if word in AS_JSON else value)


def added(one: Declared, by: str = "") -> bool:
    """Whether this call wrote the row; a row of its name stays as it is."""
    with transaction.atomic():
        if PeriodicTask.objects.filter(name=one.name).exists():
            return False
        row = one.row()
        setattr(row, one.timing_field, kept(one.timing))
        columns = {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields if not f.primary_key}
        # Another process may be adding it too.
        made, new = PeriodicTask.objects.get_or_create(name=one.name, defaults=columns)
        if new and one.policy:
            SchedulePolicy.objects.create(schedule=made, **one.policy)
        if new and by:
            activity.record(by, "create", "schedule", one.name, source=one.source)
    return bool(new)


def kept(timing: TimingRow) -> TimingRow:
    """The saved row of this timing: one that is there, or a new one."""
    columns = {f.attname: getattr(timing, f.attname) for f in timing._meta.concrete_fields if not f.primary_key}
    # Not get_or_create: django-celery-beat allows the same timing twice.
    model: Any = type(timing)
    found: TimingRow | None = model.objects.filter(**columns).first()
    if found is None:
        found = model(**columns)  # what is declared is declared for good, and keeps no key of a row
        found.save()
    return found
