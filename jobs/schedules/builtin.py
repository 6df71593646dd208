"""The four schedules that come with the project: added when missing, never written over."""

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.schedules.declared import Declared, TimingRow, added

SOURCE = "the project"


@dataclass(frozen=True)
class BuiltIn:
    """One schedule as it is installed."""

    name: str
    task: str
    timing: TimingRow
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

    @property
    def args(self) -> list[Any]:
        return [self.setting] if self.is_argument and self.is_ready else []

    def declared(self) -> Declared:
        """As the settings are now. Description and switch are people's once it is there."""
        named = {"task": self.task, **({"args": self.args} if self.is_ready else {})}
        description = self.description if self.is_ready else self.off_because
        return Declared(
            self.name, SOURCE, self.timing, named, at_first={"description": description, "enabled": self.is_ready}
        )


def every(seconds: int) -> IntervalSchedule:
    return IntervalSchedule(every=seconds, period=IntervalSchedule.SECONDS)


def at(minute: str, hour: str, day_of_week: str = "*") -> CrontabSchedule:
    """A crontab line in UTC."""
    return CrontabSchedule(minute=minute, hour=hour, day_of_week=day_of_week, timezone="UTC")


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


def declared() -> list[Declared]:
    """Each as it is wanted now."""
    return [schedule.declared() for schedule in BUILT_IN]


def install() -> list[str]:
    """Adds the missing schedules; enables those that only waited for their setting. Names of the rows written."""
    return [schedule.name for schedule in BUILT_IN if added(schedule.declared())] + enable_waiting()


def enable_waiting() -> list[str]:
    """Enables those that only waited for their setting; their names."""
    return [schedule.name for schedule in BUILT_IN if _enabled_now(schedule)]


def _enabled_now(schedule: BuiltIn) -> bool:
    """A row still as it was installed without its setting gets the setting; a row that a person edited does not."""
    if not schedule.is_ready or not schedule.needs:
        return False
    untouched = {"enabled": False, "description": schedule.off_because, "args": "[]", "task": schedule.task}
    row = PeriodicTask.objects.filter(name=schedule.name, **untouched).first()
    if row is None:
        return False
    row.args, row.description, row.enabled = json.dumps(schedule.args), schedule.description, True
    row.save(update_fields=["args", "description", "enabled"])
    return True
