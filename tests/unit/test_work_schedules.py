"""The built-in schedules: added when missing, never written over."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.schedules import builtin

pytestmark = pytest.mark.django_db

NAMES = ["check-api-health", "daily-cleanup", "sync-crm", "weekly-report"]


@pytest.fixture(autouse=True)
def none_yet(settings: Any) -> None:
    settings.REPORT_RECIPIENT, settings.CRM_URL = "boss@example.com", "https://crm.example.com/people"
    settings.HEALTH_CHECK_URLS = ["https://example.com/healthz"]
    PeriodicTask.objects.all().delete()
    IntervalSchedule.objects.all().delete()
    CrontabSchedule.objects.all().delete()


def row(name: str) -> PeriodicTask:
    return PeriodicTask.objects.get(name=name)


def test_four_schedules_are_installed_and_enabled() -> None:
    assert sorted(builtin.install()) == NAMES
    assert sorted(PeriodicTask.objects.filter(enabled=True).values_list("name", flat=True)) == NAMES


def test_each_schedule_has_its_task_time_and_arguments() -> None:
    builtin.install()
    assert {name: (row(name).task, json.loads(row(name).args)) for name in NAMES} == {
        "check-api-health": ("check_health", []),
        "daily-cleanup": ("cleanup_old_data", []),
        "weekly-report": ("generate_weekly_report", ["boss@example.com"]),
        "sync-crm": ("sync_data", ["https://crm.example.com/people"]),
    }
    assert (row("check-api-health").interval.every, row("check-api-health").interval.period) == (300, "seconds")
    lines = {name: row(name).crontab for name in NAMES if row(name).crontab}
    assert {name: (c.minute, c.hour, c.day_of_week, str(c.timezone)) for name, c in lines.items()} == {
        "daily-cleanup": ("0", "2", "*", "UTC"),
        "weekly-report": ("0", "9", "1", "UTC"),
        "sync-crm": ("0", "9-17", "1-5", "UTC"),
    }


def test_a_second_install_writes_nothing() -> None:
    builtin.install()
    assert builtin.install() == []
    assert (IntervalSchedule.objects.count(), CrontabSchedule.objects.count()) == (1, 3)


def test_what_is_missing_is_added() -> None:
    builtin.install()
    row("daily-cleanup").delete()
    assert builtin.install() == ["daily-cleanup"]


def test_an_edited_row_is_never_written_over() -> None:
    builtin.install()
    edited = row("sync-crm")
    edited.enabled, edited.args, edited.description = False, '["https://other.example.com/"]', "Ours"
    edited.save()
    builtin.install()
    assert (row("sync-crm").enabled, row("sync-crm").args, row("sync-crm").description) == (False, edited.args, "Ours")


@pytest.mark.parametrize(
    ("setting", "unset", "name"),
    [
        ("REPORT_RECIPIENT", "", "weekly-report"),
        ("CRM_URL", "", "sync-crm"),
        ("HEALTH_CHECK_URLS", [], "check-api-health"),
    ],
)
def test_a_schedule_without_its_setting_is_installed_disabled_and_says_why(
    settings: Any, setting: str, unset: Any, name: str
) -> None:
    given = getattr(settings, setting)
    setattr(settings, setting, unset)
    builtin.install()
    assert not row(name).enabled
    assert setting in row(name).description
    setattr(settings, setting, given)
    assert builtin.install() == [name]
    assert row(name).enabled
    assert setting in row(name).description or name == "check-api-health"


def test_a_schedule_that_a_person_switched_off_stays_off() -> None:
    builtin.install()
    off = row("weekly-report")
    off.enabled = False
    off.save()
    assert builtin.install() == []
    assert not row("weekly-report").enabled


def test_migrate_installs_them_and_no_backend_cleanup() -> None:
    call_command("migrate", verbosity=0)
    assert sorted(PeriodicTask.objects.values_list("name", flat=True)) == NAMES
