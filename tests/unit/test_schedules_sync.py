"""Schedules from code and from a file: the missing are added, the others only by force."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab, schedule, solar
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.models import Activity, SchedulePolicy
from jobs.registry import registered_tasks
from jobs.schedules import in_code, in_file
from jobs.schedules.sync import Synced, SyncRefused, add_missing, sync
from jobs.schedules.yaml_file import FileRefused

pytestmark = pytest.mark.django_db

ADD = "tests.plain_tasks.add"
NIGHTLY = f"""
nightly:
  task: {ADD}
  cron: "30 2 * * 1-5"
  zone: Europe/Paris
  args: [1, 2]
  queue: heavy
"""
FULL = f"""
full:
  task: {ADD}
  every: 5 minutes
  args: [1]
  kwargs: {{y: 2}}
  queue: heavy
  priority: 5
  headers: {{trace: abc}}
  expire_seconds: 600
  start: 2027-01-01T09:00:00+01:00
  one_off: false
  enabled: false
  description: Adds.
  missed: all
  missed_limit: 3
  max_lateness: 3600
  overlap: queue
  jitter: 30
  pause_after: 4
"""

#: The first moment after the time that Paris skips, and noon there.
SKIPPED, NOON = datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 3, 28, 10, tzinfo=UTC)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "schedules.yaml"
    path.write_text(text)
    return path


def load(tmp_path: Path, text: str, **how: bool) -> Synced:
    declared, problems = in_file.declared(written(tmp_path, text))
    return sync(declared, "ann", unread=problems, **how)


def refused(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    """(name, key) of each problem; every message says something, and nothing is written."""
    before = PeriodicTask.objects.count()
    with pytest.raises(SyncRefused) as error:
        load(tmp_path, text)
    assert PeriodicTask.objects.count() == before
    assert all(problem.message.endswith(".") for problem in error.value.problems)
    return [(problem.name, problem.key) for problem in error.value.problems]


def row(name: str) -> PeriodicTask:
    return PeriodicTask.objects.get(name=name)


# --- a file ---


def test_what_a_file_declares_is_added_with_its_trace(tmp_path: Path) -> None:
    assert load(tmp_path, NIGHTLY).added == ["nightly"]
    made = row("nightly")
    cron = made.crontab
    assert (made.task, json.loads(made.args), made.queue, made.enabled) == (ADD, [1, 2], "heavy", True)
    assert (cron.minute, cron.hour, cron.day_of_week, str(cron.timezone)) == ("30", "2", "1-5", "Europe/Paris")
    act = Activity.objects.get(kind="schedule", key="nightly")
    assert (act.by, act.action) == ("ann", "create")


def test_every_key_reaches_its_column(tmp_path: Path) -> None:
    load(tmp_path, FULL)
    made = row("full")
    assert (made.interval.every, made.interval.period) == (5, "minutes")
    assert (json.loads(made.args), json.loads(made.kwargs), json.loads(made.headers)) == (
        [1],
        {"y": 2},
        {"trace": "abc"},
    )
    assert (made.queue, made.priority, made.expire_seconds, made.one_off, made.enabled) == (
        "heavy",
        5,
        600,
        False,
        False,
    )
    assert (made.start_time, made.description) == (datetime(2027, 1, 1, 8, tzinfo=UTC), "Adds.")
    policy = SchedulePolicy.objects.get(pk=made.pk)
    assert (policy.missed, policy.missed_limit, policy.max_lateness) == ("all", 3, 3600)
    assert (policy.overlap, policy.jitter, policy.pause_after) == ("queue", 30, 4)


@pytest.mark.parametrize(
    ("timing", "field", "columns"),
    [
        ("every: 90", "interval", {"every": 90, "period": "seconds"}),
        ("every: 1 hour", "interval", {"every": 1, "period": "hours"}),
        ("cron: '*/5 * * * *'", "crontab", {"minute": "*/5", "hour": "*"}),
        ("at: 2027-03-28T02:30\n  zone: Europe/Paris", "clocked", {"clocked_time": SKIPPED}),
        ("at: 2027-03-28 12:00:00\n  zone: Europe/Paris", "clocked", {"clocked_time": NOON}),
        ("sun: {event: sunset, latitude: 48.85, longitude: 2.35}", "solar", {"event": "sunset"}),
    ],
)  # fmt: skip
def test_each_kind_of_timing_can_be_declared(tmp_path: Path, timing: str, field: str, columns: dict[str, Any]) -> None:
    text = f"it:\n  task: check_health\n  {timing}\n"
    assert load(tmp_path, text).added == ["it"]
    made = getattr(row("it"), field)
    assert {name: getattr(made, name) for name in columns} == columns
    assert row("it").one_off is (field == "clocked")
    assert load(tmp_path, text).drift == []


def test_a_second_sync_writes_nothing(tmp_path: Path) -> None:
    load(tmp_path, NIGHTLY + FULL)
    before = Activity.objects.count(), CrontabSchedule.objects.count(), IntervalSchedule.objects.count()
    done = load(tmp_path, NIGHTLY + FULL, force=True)
    assert (done.added, done.overwritten, done.unchanged, done.drift) == ([], [], ["nightly", "full"], [])
    assert (Activity.objects.count(), CrontabSchedule.objects.count(), IntervalSchedule.objects.count()) == before


def test_drift_is_told_field_by_field_and_left(tmp_path: Path) -> None:
    load(tmp_path, NIGHTLY)
    PeriodicTask.objects.filter(name="nightly").update(queue="emails", args="[3, 4]")
    CrontabSchedule.objects.filter(minute="30", hour="2").update(hour="3")
    done = load(tmp_path, NIGHTLY)
    assert {(d.field, str(d.declared), str(d.found)) for d in done.drift} == {
        ("timing", "30 2 * * 1-5 (Europe/Paris)", "30 3 * * 1-5 (Europe/Paris)"),
        ("queue", "heavy", "emails"),
        ("args", "[1, 2]", "[3, 4]"),
    }
    assert (done.unchanged, row("nightly").queue) == (["nightly"], "emails")


def test_force_writes_what_is_declared_over_it_and_keeps_before_and_after(tmp_path: Path) -> None:
    load(tmp_path, NIGHTLY)
    PeriodicTask.objects.filter(name="nightly").update(queue="emails", description="Mine", last_run_at=NOON)
    done = load(tmp_path, NIGHTLY.replace("30 2", "45 2"), force=True)
    made = row("nightly")
    assert done.overwritten == ["nightly"]
    assert (made.queue, made.crontab.minute, made.description) == ("heavy", "45", "Mine")
    assert made.last_run_at == NOON
    facts = Activity.objects.get(kind="schedule", action="edit").facts
    assert facts["changed"]["queue"] == ["emails", "heavy"]
    assert load(tmp_path, NIGHTLY.replace("30 2", "45 2")).drift == []


def test_what_is_not_named_is_left_to_people(tmp_path: Path) -> None:
    load(tmp_path, NIGHTLY)
    PeriodicTask.objects.filter(name="nightly").update(enabled=False, priority=3, description="Mine")
    SchedulePolicy.objects.create(schedule=row("nightly"), jitter=9)
    assert load(tmp_path, NIGHTLY, force=True).drift == []
    assert not row("nightly").enabled


def test_a_policy_differs_and_is_written_over(tmp_path: Path) -> None:
    load(tmp_path, FULL)
    SchedulePolicy.objects.filter(pk=row("full").pk).update(jitter=0, paused_by="bob")
    assert [(d.field, d.declared, d.found) for d in load(tmp_path, FULL).drift] == [("jitter", 30, 0)]
    load(tmp_path, FULL, force=True)
    policy = SchedulePolicy.objects.get(pk=row("full").pk)
    assert (policy.jitter, policy.paused_by) == (30, "bob")


def test_an_emptied_key_takes_the_value_away(tmp_path: Path) -> None:
    load(tmp_path, NIGHTLY)
    load(tmp_path, NIGHTLY.replace("queue: heavy", "queue:"), force=True)
    assert row("nightly").queue is None


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path) -> None:
    load(tmp_path, NIGHTLY)
    done = load(tmp_path, NIGHTLY.replace("heavy", "emails") + FULL, force=True, dry_run=True)
    assert (done.added, done.overwritten) == (["full"], ["nightly"])
    assert row("nightly").queue == "heavy"
    assert not PeriodicTask.objects.filter(name="full").exists()


def test_secrets_are_masked_in_what_is_told_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered_tasks()[ADD], "secrets", ("y",), raising=False)
    text = f"pay:\n  task: {ADD}\n  every: 60\n  kwargs: {{x: 1, y: 2222}}\n"
    load(tmp_path, text)
    [told] = load(tmp_path, text.replace("2222", "3333"), force=True).drift
    assert (told.declared, told.found) == ({"x": 1, "y": "[redacted]"},) * 2
    assert "3333" not in str(list(Activity.objects.values_list("facts", flat=True)))
    assert json.loads(row("pay").kwargs)["y"] == 3333


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("{}", ""),
        ("7", ""),
        ("{every: 60}", "task"),
        ("{task: no.such, every: 60}", "task"),
        ("{task: check_health}", "timing"),
        ("{task: check_health, every: 60, cron: '* * * * *'}", "timing"),
        ("{task: check_health, every: soon}", "every"),
        ("{task: check_health, every: 99999999999999999999}", "every"),
        ('{task: check_health, every: 60, description: "a\\0b"}', "description"),
        ("{task: check_health, every: true}", "every"),
        ("{task: check_health, every: 0}", "every"),
        ("{task: check_health, cron: 0 2 * *}", "cron"),
        ("{task: check_health, cron: 99 2 * * *}", "cron"),
        ("{task: check_health, cron: 0 0 31 2 *}", "cron"),
        ("{task: check_health, cron: 0 0 * * *, zone: Europe/Atlantis}", "zone"),
        ("{task: check_health, at: soon}", "at"),
        ("{task: check_health, sun: sunset}", "sun"),
        ("{task: check_health, sun: {event: tea, latitude: 1, longitude: 1}}", "sun"),
        ("{task: check_health, every: 60, queue: nowhere}", "queue"),
        ("{task: check_health, every: 60, args: {a: 1}}", "args"),
        ("{task: check_health, every: 60, kwargs: {a: 1}}", "kwargs"),
        ("{task: check_health, every: 60, priority: 12}", "priority"),
        ("{task: check_health, every: 60, priority: high}", "priority"),
        ("{task: check_health, every: 60, enabled: maybe}", "enabled"),
        ("{task: check_health, every: 60, missed: sometimes}", "missed"),
        ("{task: check_health, every: 60, jitter: -1}", "jitter"),
        ("{task: check_health, every: 60, missed_limit: 0}", "missed_limit"),
        ("{task: check_health, every: 60, retries: 3}", "retries"),
        (f"{{task: check_health, every: 60, queue: {'q' * 201}}}", "queue"),
        ("{task: check_health, every: 60, end: 2027-01-01T00:00:00Z, expire_seconds: 3}", "expire_seconds"),
    ],
)
def test_a_fault_is_told_by_name_and_key_and_nothing_is_written(tmp_path: Path, entry: str, key: str) -> None:
    assert ("bad", key) in refused(tmp_path, f"{NIGHTLY}\nbad: {entry}\n")


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = "a: {task: no.such, every: 60, queue: nowhere}\nb: {task: check_health, cron: 99 * * * *}\n"
    assert refused(tmp_path, text) == [("a", "task"), ("a", "queue"), ("b", "cron")]


def test_an_entry_that_can_not_be_read_hides_no_fault_of_another(tmp_path: Path) -> None:
    text = "a: {task: no.such, every: 60}\nb: {task: check_health, every: often}\n"
    assert refused(tmp_path, text) == [("b", "every"), ("a", "task")]


def test_what_would_break_a_row_when_written_over_is_refused(tmp_path: Path) -> None:
    load(tmp_path, NIGHTLY)
    PeriodicTask.objects.filter(name="nightly").update(kwargs='{"no_such": 1}')
    declared, _ = in_file.declared(written(tmp_path, NIGHTLY.replace("heavy", "emails")))
    with pytest.raises(SyncRefused, match="no_such"):
        sync(declared, "ann", force=True)
    assert row("nightly").queue == "heavy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "declares no schedules"),
        ("- a\n- b\n", "declares no schedules"),
        ("a: {task: check_health, cron: * * * * *}\n", "Quote"),
        ("a: {every: 60}\na: {every: 70}\n", "written twice"),
        ("a:\n\ttask: x\n", "YAML"),
        ("a: {every: 60, every: 70}\n", "written twice"),
        ("? [1, 2]\n: {every: 60}\n", "YAML"),
        ("a: !!python/object/apply:os.getpid []\n", "YAML"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FileRefused, match=said):
        in_file.declared(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="Name a YAML file"):
        in_file.declared(tmp_path / "none.yaml")


def test_a_file_may_share_values_by_anchors(tmp_path: Path) -> None:
    text = "a: &base {task: check_health, every: 60}\nb:\n  <<: *base\n  every: 70\n"
    assert load(tmp_path, text).added == ["a", "b"]
    assert row("b").interval.every == 70


def test_the_page_on_operations_names_every_key_and_its_example_is_read(tmp_path: Path) -> None:
    page = (
        (Path(__file__).parents[2] / "docs" / "operations.md")
        .read_text("utf-8")
        .partition("### Schedules in a file")[2]
    )
    [example] = re.findall(r"```yaml\n(.*?)```", page.partition("## The doctor")[0], re.DOTALL)
    declared, problems = in_file.declared(written(tmp_path, example))
    assert ([one.name for one in declared], problems) == (["nightly-report", "poll-orders"], [])
    assert [key for key in in_file.KEYS if f"`{key}`" not in page] == []


# --- code ---


def app_with(**entries: Any) -> Celery:
    app = Celery(set_as_current=False)
    app.conf.timezone = "Europe/Paris"
    app.conf.beat_schedule = entries
    return app


def test_what_beat_schedule_declares_becomes_rows() -> None:
    app = app_with(
        cron={"task": "check_health", "schedule": crontab(minute=0, hour=[8, 9], day_of_week="mon-fri")},
        number={"task": "check_health", "schedule": 30},
        delta={"task": ADD, "schedule": timedelta(minutes=2), "args": (1,), "kwargs": {"y": 2}},
        plan={"task": "check_health", "schedule": schedule(run_every=1.5)},
        sun={"task": "check_health", "schedule": solar("sunset", -37.81753, 144.96715)},
        options={
            "task": "check_health",
            "schedule": 60,
            "options": {"queue": "heavy", "priority": 4, "expires": 15, "headers": {"a": "b"}},
        },
        columns={"task": "check_health", "schedule": 60, "one_off": True, "description": "Once."},
    )
    PeriodicTask.objects.all().delete()
    assert {"cron", "number", "delta", "plan", "sun", "options", "columns"} < set(add_missing(app))
    cron = row("cron").crontab
    assert (cron.minute, cron.hour, cron.day_of_week, str(cron.timezone)) == ("0", "8,9", "mon-fri", "Europe/Paris")
    assert [(row(name).interval.every, row(name).interval.period) for name in ("number", "delta", "plan")] == [
        (30, "seconds"), (120, "seconds"), (1_500_000, "microseconds")
    ]  # fmt: skip
    assert (json.loads(row("delta").args), json.loads(row("delta").kwargs)) == ([1], {"y": 2})
    assert (row("sun").solar.event, float(row("sun").solar.longitude)) == ("sunset", 144.96715)
    made = row("options")
    assert (made.queue, made.priority, made.expire_seconds, json.loads(made.headers)) == ("heavy", 4, 15, {"a": "b"})
    assert (row("columns").one_off, row("columns").description) == (True, "Once.")


def test_a_second_start_adds_nothing_and_leaves_edits() -> None:
    app = app_with(number={"task": "check_health", "schedule": 30})
    add_missing(app)
    PeriodicTask.objects.filter(name="number").update(queue="heavy", enabled=False)
    assert add_missing(app) == []
    assert (row("number").queue, row("number").enabled) == ("heavy", False)


def test_an_entry_that_can_not_be_a_row_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    app = app_with(
        good={"task": "check_health", "schedule": 30},
        nobody={"task": "no.such", "schedule": 30},
        option={"task": "check_health", "schedule": 30, "options": {"countdown": 5}},
        kind={"task": "check_health", "schedule": object()},
        torn={"task": "check_health"},
        words={"task": "check_health", "schedule": 30, "options": {"expires": "soon"}},
    )
    assert add_missing(app) == ["good"]
    said = caplog.text
    for part in ("nobody: task", "option: options.countdown", "kind: schedule", "torn", "words"):
        assert part in said
    assert [problem.name for problem in in_code.declared(app)[1]] == ["option", "kind", "torn", "words"]
