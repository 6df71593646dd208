"""The commands: what they print, and what they refuse."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from dlq.models import DeadLetter
from jobs.api.tokens import find_token
from jobs.messages import arguments
from jobs.models import Activity, Job, Queue, ScheduleStanding
from tests.support.lives import cancelled, dead, job, queued, succeeded

pytestmark = pytest.mark.django_db

ADD = "tests.plain_tasks.add"


def run(*args: str) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command(*args, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def rows(*args: str) -> Any:
    """What it prints with --json."""
    return json.loads(run(*args, "--json"))


def refused(*args: str) -> str:
    """The line of a refusal."""
    with pytest.raises(CommandError) as error:
        run(*args)
    assert error.value.returncode == 1
    assert "\n" not in str(error.value)
    return str(error.value)


def misused(*args: str) -> None:
    """The usage is wrong (exit code 2 from a shell)."""
    with pytest.raises(CommandError, match="Error:"):
        run(*args)


# --- enqueue ---


def test_enqueue_prints_the_id_of_its_job() -> None:
    made = job(
        run("enqueue", ADD, "--args", "[1]", "--kwargs", '{"y": 2}', "--queue", "heavy", "--delay", "60").strip()
    )
    assert (made.queue, made.state, arguments(made.body)) == ("heavy", "scheduled", ([1], {"y": 2}))


def test_enqueue_posts_as_many_as_it_is_told() -> None:
    ids = rows("enqueue", ADD, "--args", "[1, 2]", "--count", "1001")["task_ids"]
    assert len(set(ids)) == Job.objects.count() == 1001


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["no.such"], "no.such"),
        ([ADD], "x: Missing"),
        ([ADD, "--args", "[1, 2]", "--queue", "nowhere"], "JOBS_QUEUES"),
    ],
)
def test_enqueue_refuses_with_a_line_that_says_why(args: list[str], said: str) -> None:
    assert said in refused("enqueue", *args)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "args",
    [
        ["--args", "{}"],
        ["--kwargs", "[]"],
        ["--args", "{"],
        ["--count", "0"],
        ["--delay", "-1"],
        ["--delay", "x"],
        ["--delay", "1e12"],
    ],
)
def test_enqueue_is_misused(args: list[str]) -> None:
    misused("enqueue", ADD, *args)


# --- jobs ---


def test_jobs_are_listed_by_state() -> None:
    queued()
    wanted = dead()
    assert [row["task_id"] for row in rows("jobs", "list", "--state", "dead")] == [wanted]
    assert wanted in run("jobs", "list")


def test_a_job_is_shown_with_its_end() -> None:
    assert rows("jobs", "show", succeeded(value=7))["result"] == 7
    assert "ValueError: no" in run("jobs", "show", dead())
    assert "nothing" in refused("jobs", "show", "nothing")


def test_jobs_are_cancelled_and_those_that_are_not_are_named() -> None:
    one, two = queued(), succeeded()
    assert two in refused("jobs", "cancel", one, two, "--reason", "why not")
    assert (job(one).state, job(two).state) == ("cancelled", "succeeded")
    assert Activity.objects.get(action="revoke").reason == "why not"


def test_jobs_are_requeued_and_those_that_are_not_are_named() -> None:
    one, two = cancelled(), queued()
    assert two in refused("jobs", "requeue", one, two, "nothing")
    assert job(one).state == "queued"


def test_a_job_is_requeued_with_other_arguments() -> None:
    old = dead()
    new = run("jobs", "requeue", old, "--args", "[3, 4]").split()[-1]
    assert (job(new).requeued_from_id, arguments(job(new).body)[0]) == (old, [3, 4])


HUGE = "99999999999999999999999"


@pytest.mark.parametrize(
    "args",
    [
        ["jobs", "list", "--limit", HUGE],
        ["jobs", "list", "--limit", "0"],
        ["dead_letters", "list", "--limit", HUGE],
        ["dead_letters", "requeue", HUGE],
        ["dead_letters", "discard", HUGE],
        ["schedules", "preview", "daily-cleanup", "--count", "-1"],
        ["schedules", "preview", "daily-cleanup", "--count", HUGE],
        ["enqueue", ADD, "--count", HUGE],
    ],
)
def test_a_number_that_cannot_be_is_misused(args: list[str]) -> None:
    misused(*args)


# --- dead letters ---


def test_dead_letters_are_listed_requeued_and_discarded() -> None:
    one, two = dead(), dead()
    numbers = {row["task_id"]: str(row["id"]) for row in rows("dead_letters", "list")}
    assert one in run("dead_letters", "requeue", numbers[one])
    run("dead_letters", "discard", numbers[two], "--reason", "a test")
    assert set(DeadLetter.objects.values_list("status", flat=True)) == {"requeued", "discarded"}
    assert numbers[two] in refused("dead_letters", "discard", numbers[two])
    assert "4711" in refused("dead_letters", "requeue", "4711")
    assert len(rows("dead_letters", "list", "--status", "all")) == 2


def test_a_dead_letter_that_is_refused_holds_up_none_behind_it() -> None:
    jobless, one, two = dead(), dead(), dead()
    numbers = {row["task_id"]: str(row["id"]) for row in rows("dead_letters", "list")}
    DeadLetter.objects.filter(id=numbers[jobless]).update(job_id=None)
    told = refused("dead_letters", "requeue", numbers[jobless], numbers[one], "4711", numbers[two])
    assert "names no job" in told
    assert "4711" in told
    assert (job(one).state, job(two).state) == ("queued", "queued")


def test_arguments_that_do_not_fit_are_refused_for_each_dead_letter() -> None:
    dead()
    dead()
    numbers = [str(row["id"]) for row in rows("dead_letters", "list")]
    assert refused("dead_letters", "requeue", *numbers, "--args", "[]").count("Missing") == 4


# --- queues ---


def test_queues_are_listed_paused_resumed_and_purged() -> None:
    waiting = queued()
    assert {row["name"]: row["depth"] for row in rows("queues", "list")}["default"] == 1
    run("queues", "pause", "default", "--reason", "deploy")
    assert Queue.objects.get(name="default").paused
    run("queues", "resume", "default")
    assert not Queue.objects.get(name="default").paused
    assert "1 jobs cancelled" in run("queues", "purge", "default")
    assert job(waiting).state == "cancelled"


def test_pausing_twice_and_resuming_twice_says_that_nothing_changed() -> None:
    assert "not paused; nothing changed" in run("queues", "resume", "default")
    assert "is paused" in run("queues", "pause", "default")
    assert "paused already; nothing changed" in run("queues", "pause", "default")


@pytest.mark.parametrize("verb", ["pause", "resume", "purge"])
def test_an_unknown_queue_is_refused(verb: str) -> None:
    assert "nowhere" in refused("queues", verb, "nowhere")


# --- schedules ---


def test_schedules_are_listed_and_previewed() -> None:
    listed = rows("schedules", "list")
    assert [row["name"] for row in listed] == ["check-api-health", "daily-cleanup", "sync-crm", "weekly-report"]
    assert {row["state"] for row in listed} <= {"enabled", "disabled"}
    assert "daily-cleanup" in run("schedules", "list")
    assert len(rows("schedules", "preview", "daily-cleanup", "--count", "3")) == 3
    assert "no-such" in refused("schedules", "preview", "no-such")


@pytest.fixture
def parisian() -> PeriodicTask:
    cron = CrontabSchedule.objects.create(minute="30", hour="2", timezone="Europe/Paris")
    row: PeriodicTask = PeriodicTask.objects.create(name="parisian", task=ADD, args="[1, 2]", crontab=cron)
    return row


def test_a_preview_tells_words_zone_and_what_clocks_do(parisian: PeriodicTask) -> None:
    said = run("schedules", "preview", "parisian", "--from", "2027-03-27", "--until", "2027-03-29")
    assert "Every day at 02:30" in said
    assert "Europe/Paris" in said
    ticks = rows("schedules", "preview", "parisian", "--from", "2027-03-27T00:00", "--until", "2027-03-29")
    assert [(tick["tick"], tick["utc"], bool(tick["clocks"])) for tick in ticks] == [
        ("2027-03-27T02:30:00+01:00", "2027-03-27T01:30:00+00:00", False),
        ("2027-03-28T03:00:00+02:00", "2027-03-28T01:00:00+00:00", True),
    ]


def test_a_preview_says_that_both_kinds_of_day_must_fit(parisian: PeriodicTask) -> None:
    CrontabSchedule.objects.filter(minute="30").update(day_of_month="13", day_of_week="5")
    assert "must both fit" in run("schedules", "preview", "parisian")


def test_an_outage_is_played_through(parisian: PeriodicTask) -> None:
    night = ("--outage", "2027-01-10T02:00..2027-01-12T06:00")
    ticks = rows("schedules", "preview", "parisian", "--from", "2027-01-09T12:00", "--until", "2027-01-13", *night)
    assert [(tick["tick"][:10], tick["outcome"], tick["why"], tick["count"]) for tick in ticks] == [
        ("2027-01-11", "skipped", "replaced", 2),
        ("2027-01-12", "run", "", 1),
    ]
    assert (ticks[0]["first"], ticks[1]["starts"]) == ("2027-01-10T02:30:00+01:00", "2027-01-12T06:00:00+01:00")
    said = run("schedules", "preview", "parisian", *night)
    assert "skipped with the 1 before it" in said
    assert "runs at 2027-01-12 06:00:00+01:00" in said


@pytest.mark.parametrize(
    "asked",
    [
        ("--from", "soon"),
        ("--until", "2027-13-01"),
        ("--outage", "2027-01-10T02:00"),
        ("--outage", "2027-01-10T02:00..2027-01-09"),
        ("--outage", "a..b"),
        ("--from", "9999-12-31T23:59:59-23:00"),
    ],
)
def test_a_time_that_is_none_is_refused_in_one_line(parisian: PeriodicTask, asked: tuple[str, str]) -> None:
    assert "Write" in refused("schedules", "preview", "parisian", *asked)


def test_a_span_that_ends_before_it_begins_is_refused_and_an_empty_one_says_so(parisian: PeriodicTask) -> None:
    asked = ("schedules", "preview", "parisian", "--until", "2027-03-01")
    assert "--until" in refused(*asked, "--from", "2027-03-02")
    assert "--until" in refused("schedules", "preview", "parisian", "--until", "2020-01-01")
    assert "No tick comes" in run(*asked, "--from", "2027-02-28T12:00")


def test_a_schedule_that_does_not_tick_says_why(parisian: PeriodicTask) -> None:
    run("schedules", "pause", "parisian", "--reason", "Moving house", "--until", "2099-01-01T10:00")
    said = run("schedules", "preview", "parisian")
    assert "paused until 2099-01-01 10:00:00+01:00" in said
    assert "Moving house" in said
    assert rows("schedules", "preview", "parisian") == []


def test_a_broken_schedule_is_previewed_with_its_reason(parisian: PeriodicTask) -> None:
    CrontabSchedule.objects.filter(minute="30").update(hour="99")
    assert "99" in run("schedules", "preview", "parisian")
    assert "99" in refused("schedules", "preview", "parisian", "--from", "2027-01-01")


def test_a_broken_schedule_whose_times_can_be_read_foretells_no_run(parisian: PeriodicTask) -> None:
    at = timezone.now()
    ScheduleStanding.objects.create(
        schedule=parisian, name="parisian", anchor=at, position=at, broken="The kwargs are no JSON object."
    )
    said = run("schedules", "preview", "parisian")
    assert "It is broken (The kwargs are no JSON object.): none of these runs before it is mended." in said
    assert said.count("02:30:00+0") == 5
    [line] = [line for line in run("schedules", "list").splitlines() if line.startswith("parisian")]
    assert line.split()[1:3] == ["broken", "-"]


def test_a_schedule_is_paused_and_resumed_once(parisian: PeriodicTask) -> None:
    assert "is paused until 2099-01-01T10:00:00+01:00" in run(
        "schedules", "pause", "parisian", "--until", "2099-01-01T10:00"
    )
    assert "nothing changed" in run("schedules", "pause", "parisian")
    assert "paused until 2099-01-01 10:00:00+01:00" in run("schedules", "list")
    assert "is resumed" in run("schedules", "resume", "parisian", "--reason", "back")
    assert "nothing changed" in run("schedules", "resume", "parisian")
    assert list(Activity.objects.order_by("id").values_list("action", "reason")) == [("pause", ""), ("resume", "back")]


def test_one_that_would_not_tick_is_not_resumed(parisian: PeriodicTask) -> None:
    run("schedules", "pause", "parisian")
    PeriodicTask.objects.filter(name="parisian").update(queue="nowhere")
    assert "nowhere" in refused("schedules", "resume", "parisian")
    assert "nowhere" in refused("schedules", "run", "parisian")


def test_a_schedule_is_run_by_hand(parisian: PeriodicTask) -> None:
    job = Job.objects.get(id=run("schedules", "run", "parisian").strip())
    assert (job.task, job.schedule) == (ADD, "parisian")
    (listed,) = [row for row in rows("schedules", "list") if row["name"] == "parisian"]
    assert (listed["last_tick"]["job_id"], listed["last_tick"]["outcome"]) == (job.id, "run")


def test_sync_adds_what_is_missing_only() -> None:
    PeriodicTask.objects.filter(name="daily-cleanup").delete()
    PeriodicTask.objects.filter(name="weekly-report").update(enabled=False)
    assert "1 schedules added" in run("schedules", "sync")
    assert not PeriodicTask.objects.get(name="weekly-report").enabled


def test_sync_of_a_file_tells_drift_and_writes_over_by_force(tmp_path: Path) -> None:
    file = tmp_path / "schedules.yaml"
    file.write_text(f"nightly: {{task: {ADD}, cron: 0 2 * * *, args: [1, 2], queue: heavy}}\n")
    assert "Nothing is written" in run("schedules", "sync", str(file), "--dry-run")
    assert "1 schedules added" in run("schedules", "sync", str(file))
    PeriodicTask.objects.filter(name="nightly").update(queue="emails")
    assert "nightly: queue is 'emails', declared 'heavy'." in run("schedules", "sync", str(file))
    assert rows("schedules", "sync", str(file))["drift"][0]["found"] == "emails"
    assert "1 written over" in run("schedules", "sync", str(file), "--force")
    assert PeriodicTask.objects.get(name="nightly").queue == "heavy"


def test_sync_of_a_bad_file_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "schedules.yaml"
    file.write_text(f"good: {{task: {ADD}, every: 60, args: [1, 2]}}\nbad: {{task: no.such, every: 60}}\n")
    assert "bad: task:" in refused("schedules", "sync", str(file))
    file.write_text("bad: {task: no.such, every: 60, queue: nowhere}\n")
    assert "2 problems" in refused("schedules", "sync", str(file))
    assert "can't be read" in refused("schedules", "sync", str(tmp_path / "none.yaml"))
    assert not PeriodicTask.objects.filter(name__in=["good", "bad"]).exists()


# --- tokens ---


def test_a_token_is_printed_alone() -> None:
    printed = run("create_token", "ci", "--scope", "operate")
    made = find_token(printed.strip())
    assert made is not None
    assert (made.name, made.scope, printed.count("\n")) == ("ci", "operate", 1)


def test_a_name_is_given_to_one_token_only() -> None:
    run("create_token", "ci", "--scope", "view")
    assert "ci" in refused("create_token", "ci", "--scope", "view")
    misused("create_token", "other", "--scope", "root")


@pytest.mark.parametrize("command", ["jobs", "queues", "schedules", "dead_letters", "enqueue", "create_token"])
def test_a_command_without_its_verb_or_argument_is_misused(command: str) -> None:
    misused(command)
