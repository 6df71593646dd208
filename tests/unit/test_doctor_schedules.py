"""What doctor finds in the schedules."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.doctor import schedules
from jobs.models import Lease, ScheduleStanding, Worker
from jobs.schedules import triggers
from tests.support.finding import codes, only
from tests.support.schedules import kept_past_every_guard

pytestmark = pytest.mark.django_db


def schedule(**changed: Any) -> PeriodicTask:
    """A row past every validation, as a script or an older version may have left it."""
    every = IntervalSchedule(every=changed.pop("every", 10), period="seconds")
    return kept_past_every_guard(PeriodicTask(**{"name": "mine", "task": "check_health", "interval": every, **changed}))


def stand(row: PeriodicTask, **columns: Any) -> None:
    at = timezone.now()
    ScheduleStanding.objects.create(schedule=row, name=row.name, anchor=at, position=at, armed_at=at, **columns)


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
        ({"priority": 200}, "warning schedules.options"),
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


def test_what_a_live_worker_knows_is_no_unknown_task() -> None:
    row = schedule(task="of.another.version")
    at = timezone.now()
    Worker.objects.create(
        id="w", name="w@h", pid=1, queues="default", concurrency=1, pool="prefork", tasks="of.another.version",
        started_at=at, heartbeat_at=at,
    )  # fmt: skip
    assert codes(schedules.findings(row)) == []


def test_what_beat_marked_broken_is_told_with_its_reason() -> None:
    row = schedule()
    stand(row, broken="The database refused it.")
    finding = only(schedules.findings(PeriodicTask.objects.get(name="mine")))
    assert (finding.code, "refused it." in finding.says) == ("schedules.broken", True)


def test_late_ones_are_one_finding_and_only_while_a_beat_leads() -> None:
    PeriodicTask.objects.all().delete()
    for name in "abcd":
        stand(schedule(name=name), next_tick=timezone.now() - timedelta(hours=1))
    assert codes(schedules.examine()) == ["fine schedules.fine"]
    Lease.objects.create(name="beat", holder="h:1:a", until=timezone.now() + timedelta(seconds=60))
    finding = only(schedules.examine())
    assert (finding.code, finding.says.startswith("4 were due"), "a, b, c and others" in finding.says) == (
        "schedules.late", True, True
    )  # fmt: skip


def test_a_zone_that_nobody_knows_keeps_no_other_schedule_from_the_doctor() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = 'Europe/Atlantis' WHERE hour = '2'")
    finding = only(schedules.examine())
    assert (finding.code, "Atlantis" in finding.says) == ("schedules.time", True)


def test_missing_triggers_are_told_until_they_are_made_again() -> None:
    using = connection.alias
    with connection.cursor() as cursor:
        on = " ON jobs_schedulepolicy" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER jobs_policy_deleted{on}")
    finding = only(schedules.examine())
    assert (finding.code, "jobs_policy_deleted" in finding.says) == ("schedules.triggers", True)
    triggers.install(using)
    assert codes(schedules.examine()) == ["fine schedules.fine"]


def test_a_disabled_schedule_may_be_as_it_is() -> None:
    PeriodicTask.objects.all().delete()
    schedule(task="no.such", enabled=False)
    assert codes(schedules.examine()) == ["fine schedules.fine"]


def test_the_advice_names_the_setting() -> None:
    assert "JOBS_QUEUES=nowhere:4" in only(schedules.findings(schedule(queue="nowhere"))).do
