"""The commands: what they print, and what they refuse."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask

from dlq.models import DeadLetter
from jobs.api.tokens import find_token
from jobs.messages import arguments
from jobs.models import Activity, Job, Queue
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
    names = [row["name"] for row in rows("schedules", "list")]
    assert names == ["check-api-health", "daily-cleanup", "sync-crm", "weekly-report"]
    assert "daily-cleanup" in run("schedules", "list")
    assert len(rows("schedules", "preview", "daily-cleanup", "--count", "3")) == 3
    assert "no-such" in refused("schedules", "preview", "no-such")


def test_sync_adds_what_is_missing_only() -> None:
    PeriodicTask.objects.filter(name="daily-cleanup").delete()
    PeriodicTask.objects.filter(name="weekly-report").update(enabled=False)
    assert "1 schedules added" in run("schedules", "sync")
    assert not PeriodicTask.objects.get(name="weekly-report").enabled


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
