"""The four schedules that come with the project: added when missing, never written over."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

Timing = dict[str, IntervalSchedule | CrontabSchedule]


@dataclass(frozen=True)
class BuiltIn:
    """One schedule as it is installed."""

    name: str
    task: str
    timing: Callable[[], Timing]
    description: str
    #: The setting it can't do without, and whether that is the task's argument.
    needs: str = ""
    is_argument: bool = False

    @property
    def setting(self) -> Any:
        return getattr(settings, self.needs) if self.needs else None

    @property
    def is_ready(self) -> bool:
        return not self.needs or bool(self.setting)

    @property
    def off_because(self) -> str:
        return f"Disabled: the setting {self.needs} is not set. Set it, and this schedule is enabled at the next start."

    def columns(self) -> dict[str, Any]:
        """Arguments, description and switch, as the settings are now."""
        return {
            "args": json.dumps([self.setting] if self.is_argument and self.is_ready else []),
            "description": self.description if self.is_ready else self.off_because,
            "enabled": self.is_ready,
        }


def every(seconds: int) -> Callable[[], Timing]:
    """The timing of an interval."""

    def timing() -> Timing:
        wanted = {"every": seconds, "period": IntervalSchedule.SECONDS}
        # Not get_or_create: django-celery-beat allows the same interval twice.
        return {
            "interval": IntervalSchedule.objects.filter(**wanted).first() or IntervalSchedule.objects.create(**wanted)
        }

    return timing


def at(minute: str, hour: str, day_of_week: str = "*") -> Callable[[], Timing]:
    """The timing of a crontab line, in UTC."""

    def timing() -> Timing:
        line = {"minute": minute, "hour": hour, "day_of_week": day_of_week, "timezone": "UTC"}
        wanted = {**line, "day_of_month": "*", "month_of_year": "*"}
        return {"crontab": CrontabSchedule.objects.filter(**wanted).first() or CrontabSchedule.objects.create(**wanted)}

    return timing


BUILT_IN = (
    BuiltIn("check-api-health", "check_health", every(300), "Asks HEALTH_CHECK_URLS.", "HEALTH_CHECK_URLS"),
    BuiltIn("daily-cleanup", "cleanup_old_data", at("0", "2"), "Deletes what is past its retention."),
    BuiltIn(
        "weekly-report",
        "generate_weekly_report",
        at("0", "9", "1"),
        "Mails the week's jobs to REPORT_RECIPIENT.",
        "REPORT_RECIPIENT",
        is_argument=True,
    ),
    BuiltIn(
        "sync-crm",
        "sync_data",
        at("0", "9-17", "1-5"),
        "Copies the contacts behind CRM_URL.",
        "CRM_URL",
        is_argument=True,
    ),
)


def install() -> list[str]:
    """Adds the missing schedules; enables those that only waited for their setting. Names of the rows written."""
    return [schedule.name for schedule in BUILT_IN if _installed(schedule)]


def _installed(schedule: BuiltIn) -> bool:
    """Whether this call wrote the row."""
    if PeriodicTask.objects.filter(name=schedule.name).exists():
        return _enabled_now(schedule)
    with transaction.atomic():
        defaults = {"task": schedule.task, **schedule.timing(), **schedule.columns()}
        return PeriodicTask.objects.get_or_create(name=schedule.name, defaults=defaults)[1]


def _enabled_now(schedule: BuiltIn) -> bool:
    """A row still as it was installed without its setting gets the setting; a row that a person edited does not."""
    if not schedule.is_ready or not schedule.needs:
        return False
    untouched = {"enabled": False, "description": schedule.off_because, "args": "[]", "task": schedule.task}
    row = PeriodicTask.objects.filter(name=schedule.name, **untouched).first()
    if row is None:
        return False
    for column, value in schedule.columns().items():
        setattr(row, column, value)
    # Saved, not updated: beats read the rows again when a save says so.
    row.save(update_fields=list(schedule.columns()))
    return True
