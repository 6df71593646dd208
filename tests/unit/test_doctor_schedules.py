"""What doctor finds in the schedules."""

from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.doctor import schedules
from tests.support.finding import codes, only

pytestmark = pytest.mark.django_db


def schedule(**changed: Any) -> PeriodicTask:
    """A row past every validation, as a script or an older version may have left it."""
    every = IntervalSchedule.objects.create(every=changed.pop("every", 10), period="seconds")
    row = PeriodicTask(**{"name": "mine", "task": "check_health", "interval": every, **changed})
    PeriodicTask.objects.bulk_create([row])
    return PeriodicTask.objects.get(name="mine")


def test_schedules_that_can_run_are_fine() -> None:
    PeriodicTask.objects.all().delete()
    schedule(queue="heavy", args="[]", kwargs="{}", headers="{}")
    assert codes(schedules.examine()) == ["fine schedules.fine"]


def test_the_built_in_schedules_are_fine() -> None:
    assert codes(schedules.examine()) == ["fine schedules.fine"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"task": "no.such"}, "error schedules.unknown_task"),
        ({"queue": "nowhere"}, "error schedules.unknown_queue"),
        ({"args": "[1"}, "error schedules.arguments"),
        ({"args": "{}"}, "error schedules.arguments"),
        ({"kwargs": "[]"}, "error schedules.arguments"),
        ({"headers": "[]"}, "error schedules.arguments"),
        ({"kwargs": '{"no_such_name": 1}'}, "error schedules.arguments"),
        ({"every": 0}, "error schedules.time"),
        ({"interval": None}, "error schedules.time"),
        ({"expires": timezone.now()}, "warning schedules.never"),
    ],
)
def test_each_fault_is_found_alone(changed: dict[str, Any], code: str) -> None:
    row = schedule(**changed)
    assert codes(schedules.findings(row)) == [code]
    assert "mine" in next(schedules.findings(row)).says


def test_a_cron_line_that_names_no_time_is_found() -> None:
    for line in ({"hour": "99"}, {"minute": "soon"}, {"day_of_month": "31", "month_of_year": "2"}):
        cron = CrontabSchedule(**line)
        CrontabSchedule.objects.bulk_create([cron])
        row = schedule(interval=None, crontab=CrontabSchedule.objects.latest("id"))
        assert {finding.code for finding in schedules.findings(row)} <= {"schedules.time", "schedules.never"}
        assert list(schedules.findings(row))
        row.delete()


def test_a_disabled_schedule_may_be_as_it_is() -> None:
    PeriodicTask.objects.all().delete()
    schedule(task="no.such", enabled=False)
    assert codes(schedules.examine()) == ["fine schedules.fine"]


def test_the_advice_names_the_setting() -> None:
    assert "JOBS_QUEUES=nowhere:4" in only(schedules.findings(schedule(queue="nowhere"))).do
