"""The guards of the tables: an enabled schedule that beat could not run is refused when it is saved."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models.signals import pre_save
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from jobs.schedules.rows import TIMINGS
from jobs.schedules.validation import faults, timing_fault

#: A save of other columns only is not looked at.
LOOKED_AT = frozenset(
    "name task args kwargs headers queue priority expires expire_seconds start_time enabled".split()
) | frozenset(name for timing in TIMINGS for name in (timing, f"{timing}_id"))
FIELD_OF: dict[Any, str] = {
    IntervalSchedule: "interval",
    CrontabSchedule: "crontab",
    ClockedSchedule: "clocked",
    SolarSchedule: "solar",
}


def guard() -> None:
    """From now on every save of an enabled schedule, and of a timing, is looked at; faults raise ValidationError.

    `queryset.update()` and `bulk_create()` pass by, as they pass by every save: beat marks what it can't run as broken.
    """
    pre_save.connect(_look_at_schedule, sender=PeriodicTask, dispatch_uid="jobs.schedules")
    for model, field in FIELD_OF.items():
        pre_save.connect(_look_at_timing, sender=model, dispatch_uid=f"jobs.schedules.{field}")


def _look_at_schedule(
    instance: PeriodicTask, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    """A fixture is loaded as it is, and a disabled row may be as it is."""
    if raw or not instance.enabled or (update_fields is not None and not LOOKED_AT & set(update_fields)):
        return
    said: dict[str, list[str]] = {}
    for fault in faults(instance):
        said.setdefault(NON_FIELD_ERRORS if fault.field == "timing" else fault.field, []).append(fault.message)
    if said:
        raise ValidationError(said)


def _look_at_timing(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    field = FIELD_OF[sender]
    if not raw and (fault := timing_fault(PeriodicTask(**{field: instance}), field)):
        raise ValidationError(fault.message)
