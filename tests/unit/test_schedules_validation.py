"""What is refused of a schedule, field by field, and when it is saved."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from jobs.conf import conf
from jobs.models import SchedulePolicy, Worker
from jobs.schedules.guarding import guard
from jobs.schedules.rows import named, schedule_rows
from jobs.schedules.validation import asked_once, faults, policy_faults
from tests.support.schedules import kept_past_every_guard

pytestmark = pytest.mark.django_db

ADD = "tests.plain_tasks.add"


@pytest.fixture(autouse=True)
def guarded() -> None:
    guard()


def every(number: int = 10, period: str = "seconds") -> IntervalSchedule:
    return IntervalSchedule(every=number, period=period)


def cron(**line: Any) -> CrontabSchedule:
    return CrontabSchedule(**line)


def row(**changed: Any) -> PeriodicTask:
    return PeriodicTask(**{"name": "mine", "task": "check_health", "interval": every(), **changed})


def fields(**changed: Any) -> list[str]:
    return [fault.field for fault in faults(row(**changed))]


def test_a_sound_row_has_no_faults() -> None:
    assert faults(row()) == []
    assert fields(task=ADD, args="[1]", kwargs='{"y": 2}', queue="heavy", priority=9, headers='{"a": 1}') == []
    assert fields(interval=None, crontab=cron(hour="2", timezone="Europe/Paris")) == []
    assert fields(interval=None, clocked=ClockedSchedule(clocked_time=timezone.now()), one_off=True) == []
    assert fields(interval=None, solar=SolarSchedule(event="sunset", latitude="48.8", longitude="2.3")) == []


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"task": ""}, "task", "Choose one"),
        ({"task": "no.such"}, "task", "JOBS_TASK_MODULES"),
        ({"queue": "nowhere"}, "queue", "JOBS_QUEUES=nowhere:4"),
        ({"priority": 10}, "priority", "0 to 9"),
        ({"args": "[1"}, "args", "JSON list"),
        ({"args": "{}"}, "args", "JSON list"),
        ({"kwargs": "[]"}, "kwargs", "JSON object"),
        ({"headers": "[]"}, "headers", "JSON object"),
        ({"headers": "x"}, "headers", "JSON object"),
        ({"headers": '{"id": "mine"}'}, "headers", "id: each job has its own"),
        ({"kwargs": '{"no_such": 1}'}, "kwargs", "no_such: Unexpected argument"),
        ({"args": "[1]"}, "args", "number 1: Unexpected argument"),
        ({"task": "send_email"}, "kwargs", "Missing"),
        ({"expires": timezone.now(), "expire_seconds": 5}, "expire_seconds", "Keep one"),
        (
            {"start_time": timezone.now(), "expires": timezone.now() - timedelta(days=1)},
            "expires",
            "Let it end later",
        ),
        ({"interval": None}, "timing", "no timing"),
        ({"crontab": cron()}, "timing", "interval, crontab"),
        ({"interval": every(0)}, "interval", "1"),
        ({"interval": every(999_999, "microseconds")}, "interval", "1"),
        ({"interval": every(5, "fortnights")}, "interval", "fortnights"),
        ({"interval": every(2**60, "days")}, "interval", "shorter"),
        ({"interval": None, "crontab": cron(hour="99")}, "crontab", "99"),
        ({"interval": None, "crontab": cron(minute="soon")}, "crontab", "soon"),
        ({"interval": None, "crontab": cron(day_of_month="31", month_of_year="2")}, "crontab", "31"),
        ({"interval": None, "solar": SolarSchedule(event="tea", latitude=0, longitude=0)}, "solar", "tea"),
    ],
)
def test_each_fault_is_found_alone_and_says_what_to_do(changed: dict[str, Any], field: str, said: str) -> None:
    found = faults(row(**changed))
    assert {fault.field for fault in found} == {field}
    assert said in " ".join(fault.message for fault in found)
    assert all(fault.message.endswith(".") for fault in found)


def test_a_fault_of_a_timing_names_its_part() -> None:
    [fault] = faults(row(interval=None, crontab=cron(hour="99")))
    assert fault.part == "hour"


def test_every_fault_of_a_row_is_told_at_once() -> None:
    assert fields(task="no.such", queue="nowhere", headers="[]", interval=None) == [
        "task", "queue", "headers", "timing"
    ]  # fmt: skip


def test_arguments_over_the_limit_are_found() -> None:
    large = json.dumps({"x": "a" * conf().arguments_max, "y": ""})
    assert "kwargs" in fields(task=ADD, kwargs=large)


def test_a_task_that_only_a_live_worker_knows_is_no_fault() -> None:
    at = timezone.now()
    worker = Worker(id="w", name="w@h", pid=1, queues="default", concurrency=1, pool="prefork", tasks="other\nnewer")
    worker.started_at = worker.heartbeat_at = at
    worker.save()
    assert fields(task="newer") == []
    Worker.objects.update(stopped_at=at)
    assert fields(task="newer") == ["task"]


def test_the_workers_are_asked_once_for_many_rows(django_assert_max_num_queries: Any) -> None:
    live = asked_once()
    with django_assert_max_num_queries(2):  # one of them asks PostgreSQL for the time
        assert [len(faults(row(task="no.such"), live)) for _ in range(3)] == [1, 1, 1]


def test_a_timing_that_was_deleted_is_found() -> None:
    kept_past_every_guard(row())
    PeriodicTask.objects.update(interval_id=987_654)
    assert [fault.field for fault in faults(PeriodicTask.objects.get(name="mine"))] == ["interval"]
    PeriodicTask.objects.all().delete()


def test_a_policy_that_can_not_be_is_found() -> None:
    assert policy_faults(SchedulePolicy()) == []
    assert [fault.field for fault in policy_faults(SchedulePolicy(missed_limit=10_001, max_lateness=0))] == [
        "max_lateness", "missed_limit"
    ]  # fmt: skip
    wrong = SchedulePolicy(missed="never", overlap="fight", missed_limit=0, pause_after=0, jitter=-1)
    assert {fault.field for fault in policy_faults(wrong)} == {
        "missed", "overlap", "missed_limit", "pause_after", "jitter"
    }  # fmt: skip


# --- saving ---


def saved(**changed: Any) -> PeriodicTask:
    made = row(**changed)
    made.interval.save()
    made.save()
    return made


def test_an_enabled_schedule_with_a_fault_is_not_saved() -> None:
    with pytest.raises(ValidationError) as refused:
        saved(queue="nowhere", priority=77)
    assert set(refused.value.message_dict) == {"queue", "priority"}
    assert not PeriodicTask.objects.filter(name="mine").exists()


def test_one_that_is_disabled_may_be_as_it_is() -> None:
    bad = saved(task="no.such", enabled=False)
    bad.enabled = True
    with pytest.raises(ValidationError):
        bad.save()


def test_a_bad_one_can_always_be_disabled() -> None:
    saved()
    PeriodicTask.objects.filter(name="mine").update(task="no.such")
    bad = PeriodicTask.objects.get(name="mine")
    with pytest.raises(ValidationError):
        bad.save()
    bad.enabled = False
    bad.save()
    assert not PeriodicTask.objects.get(name="mine").enabled


def test_a_save_of_columns_that_matter_not_is_let_pass() -> None:
    saved()
    PeriodicTask.objects.filter(name="mine").update(task="no.such")
    bad = PeriodicTask.objects.get(name="mine")
    bad.description = "kept"
    bad.save(update_fields=["description"])
    with pytest.raises(ValidationError):
        bad.save(update_fields=["description", "queue"])


def test_an_interval_of_nothing_and_a_line_that_never_comes_are_not_saved() -> None:
    for timing in (every(0), every(5, "microseconds"), cron(day_of_month="30", month_of_year="2")):
        with pytest.raises(ValidationError):
            timing.save()
    assert every().save() is None


def test_a_fixture_is_loaded_as_it_is(tmp_path: Any) -> None:
    saved()
    columns = {"name": "loaded", "task": "no.such", "interval": IntervalSchedule.objects.latest("pk").pk}
    columns["date_changed"] = "2026-01-01T00:00:00Z"
    fixture = tmp_path / "rows.json"
    fixture.write_text(json.dumps([{"model": "django_celery_beat.periodictask", "pk": 987, "fields": columns}]))
    call_command("loaddata", str(fixture), verbosity=0)
    assert PeriodicTask.objects.get(pk=987).enabled


# --- reading ---


def test_a_row_whose_zone_nobody_knows_is_read_beside_the_others() -> None:
    kept_past_every_guard(row(interval=None, crontab=cron()))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = 'Europe/Atlantis'")
    assert len(schedule_rows()) > 1
    [fault] = faults(named("mine"))
    assert (fault.field, fault.part) == ("crontab", "timezone")
