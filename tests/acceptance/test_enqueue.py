"""Every way into Celery makes a durable job with the id that the caller got."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app, group, signature
from django.db import transaction

from jobs.broker import depths
from jobs.errors import UnknownQueue
from tests import plain_tasks
from tests.plain_tasks import add, echo, flaky, note, on_error, on_error_id, quiet, quiet_flaky, whoami, wobbly
from tests.support.console import RemoteError
from tests.support.station import Station


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.ticking"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat; nobody works on the queue `heavy`."""
    station.worker("default,emails", concurrency=2)
    station.beat()
    return station


# --- what callers write ---


def by_delay() -> str:
    return whoami.delay().id


def by_apply_async() -> str:
    return whoami.apply_async((), {}).id


def by_calling_with_an_id() -> str:
    return whoami.apply_async(task_id="order-4711 é").id


def by_send_task() -> str:
    return current_app.send_task("tests.plain_tasks.whoami").id


def by_signature() -> str:
    return signature("tests.plain_tasks.whoami").apply_async().id


def by_delay_on_commit() -> None:
    note.delay_on_commit("on commit")


WAYS = (by_delay, by_apply_async, by_calling_with_an_id, by_send_task, by_signature)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_makes_a_row_with_the_callers_id(running: Station, way: Any) -> None:
    id = running.call(way)
    assert running.job(id)["task"] == "tests.plain_tasks.whoami"
    running.wait_state(id, "succeeded")
    assert running.value(id)["id"] == id


def test_delay_on_commit_still_works(running: Station) -> None:
    running.call(by_delay_on_commit)
    running.wait(lambda: "on commit" in running.journal())


def test_a_countdown_waits_in_the_table(running: Station) -> None:
    id = running.post(whoami, countdown=1)
    waiting = running.job(id)
    assert waiting["state"] == "scheduled"
    assert waiting["rung_at"] is None
    done = running.wait_state(id, "succeeded")
    assert done["started_at"] >= done["run_at"]
    assert running.value(id)["eta"] is not None


def test_an_eta_waits_in_the_table(running: Station) -> None:
    eta = datetime.now(UTC) + timedelta(seconds=1)
    id = running.post(note, "eta", eta=eta)
    assert running.job(id)["state"] == "scheduled"
    done = running.wait_state(id, "succeeded")
    assert str(done["started_at"]) >= str(done["run_at"])


def test_an_eta_in_the_past_runs_now(running: Station) -> None:
    id = running.post(note, "late", eta=datetime.now(UTC) - timedelta(hours=1))
    running.wait_state(id, "succeeded")


def test_queue_and_priority_are_kept_as_posted(running: Station) -> None:
    id = running.post(whoami, queue="emails", priority=7)
    row = running.wait_state(id, "succeeded")
    assert (row["queue"], row["priority"]) == ("emails", 7)
    assert running.value(id)["priority"] == 7


def test_a_routed_task_goes_to_its_queue(station: Station) -> None:
    id = station.post(add, 1, 1, queue="heavy")
    assert station.job(id)["queue"] == "heavy"
    assert station.job(id)["state"] == "queued"


def test_higher_priority_starts_first(station: Station) -> None:
    ids = [station.post(note, f"priority {n}", queue="heavy", priority=n) for n in (0, 3, 9, 6)]
    station.worker("heavy", concurrency=1)
    station.wait_ended(ids)
    told = [line for line in station.journal() if line.startswith("priority")]
    assert told[0] == "priority 9"
    assert told[-1] == "priority 0"


def test_an_unknown_queue_is_refused_with_the_setting_to_change(station: Station) -> None:
    with pytest.raises(RemoteError, match="JOBS_QUEUES") as refused:
        station.post(add, 1, 2, queue="emials")
    assert refused.value.name == UnknownQueue.__name__


def with_link() -> str:
    return add.apply_async((1, 2), link=add.s(10)).id


def test_a_link_is_a_job_of_its_own(running: Station) -> None:
    id = running.call(with_link)
    running.wait_state(id, "succeeded")
    child = running.wait(lambda: running.sql("SELECT * FROM jobs_job WHERE parent_id = %s", id))[0]
    running.wait_state(child["id"], "succeeded")
    assert running.value(child["id"]) == 13


def with_link_error() -> str:
    return plain_tasks.fail.apply_async(("linked",), link_error=[on_error.s(), on_error_id.s()]).id


def test_link_error_is_called_in_both_styles(running: Station) -> None:
    id = running.call(with_link_error)
    running.wait_state(id, "dead")
    running.wait(lambda: {f"error of {id}: linked", f"error of {id}"} <= set(running.journal()))


def test_a_retry_waits_in_the_table_and_runs_with_its_count(running: Station) -> None:
    id = running.post(flaky, "retried", 2, countdown=0.5)
    waiting = running.wait_state(id, "retrying")
    assert waiting["run_at"] is not None
    done = running.wait_state(id, "succeeded")
    assert running.value(id) == 2
    assert (done["attempt"], done["retries"], done["max_attempts"]) == (3, 2, 3)
    assert running.journal().count("retried") == 3


def test_a_retry_without_a_wait_runs_at_once(running: Station) -> None:
    id = running.post(flaky, "at once", 1, 0)
    running.wait_state(id, "succeeded")
    assert running.value(id) == 1


def test_autoretry_with_backoff_and_jitter_is_durable(running: Station) -> None:
    id = running.post(wobbly, "wobbly", 2)
    running.wait_state(id, "succeeded")
    assert running.value(id) == 2
    assert [row["outcome"] for row in running.attempts(id)] == ["retried", "retried"]


def test_autoretry_that_is_used_up_dies_exhausted(running: Station) -> None:
    id = running.post(wobbly, "hopeless", 99)
    assert running.wait_state(id, "dead")["attempt"] == 3
    assert running.letters(id)[0]["reason"] == "exhausted"


def test_tasks_that_ignore_their_result_are_jobs_too(running: Station) -> None:
    plain, retried = running.post(quiet, "quiet"), running.post(quiet_flaky, "quiet flaky")
    assert [row["state"] for row in running.wait_ended([plain, retried])] == ["succeeded", "succeeded"]
    assert running.journal().count("quiet flaky") == 2
    assert running.get(plain) is None


def test_a_job_enqueued_by_a_job_is_durable(running: Station) -> None:
    id = running.post(plain_tasks.spawn, "spawned")
    running.wait_state(id, "succeeded")
    child = running.value(id)
    assert running.job(child)["parent_id"] == id
    running.wait_state(child, "succeeded")


def test_a_beat_schedule_of_the_app_makes_jobs(running: Station) -> None:
    ran = running.wait(lambda: [row for row in ticks(running) if row["state"] == "succeeded"][:2])
    for row in ran:
        assert running.value(row["id"])["id"] == row["id"]


def ticks(station: Station) -> list[dict[str, Any]]:
    return station.sql("SELECT * FROM jobs_job WHERE schedule IS NOT NULL AND task LIKE %s", "%whoami")


def odd_arguments() -> tuple[Any, dict[str, Any]]:
    return ["Ærø 🚂 \u202e", "nul \x00 nul", float("inf"), None, {"deep": [1, {"x": []}]}], {"naïve": "ключ"}


def test_odd_arguments_arrive_as_they_were_posted(running: Station) -> None:
    args, kwargs = odd_arguments()
    id = running.post(echo, *args, kwargs=kwargs)
    running.wait_state(id, "succeeded")
    assert running.get(id) == {"args": args, "kwargs": kwargs}


def test_a_nan_arrives_as_a_nan(running: Station) -> None:
    id = running.post(echo, float("nan"))
    running.wait_state(id, "succeeded")
    [nan] = running.get(id)["args"]
    assert nan != nan


# --- inside a transaction ---


def rolled_back() -> str:
    try:
        with transaction.atomic():
            id = note.delay("rolled back").id
            raise RuntimeError
    except RuntimeError:
        return str(id)


def test_a_job_of_a_rolled_back_transaction_never_was(running: Station) -> None:
    id = running.call(rolled_back)
    assert running.job(id) == {}
    running.get(running.post(add, 1, 1))
    assert "rolled back" not in running.journal()


def fifty_in_one_transaction() -> list[str]:
    with transaction.atomic():
        return [note.apply_async((f"bulk {n}",), queue="heavy").id for n in range(50)]


def fifty_in_a_group() -> list[str]:
    return [result.id for result in group(note.s(f"group {n}").set(queue="heavy") for n in range(50))().results]


@pytest.mark.parametrize("way", [fifty_in_one_transaction, fifty_in_a_group], ids=lambda way: way.__name__)
def test_many_jobs_are_rung_together(station: Station, way: Any) -> None:
    with station.valkey.client() as client:
        station.call(rings_connected)
        before = station.call(depths, ["heavy"])["heavy"]
        client.config_resetstat()
        ids = station.call(way)
        assert station.call(depths, ["heavy"])["heavy"] == before + 50
        # One push for them all; a tick of beat may be rung meanwhile.
        assert client.info("commandstats")["cmdstat_lpush"]["calls"] < 5
    assert {row["state"] for row in station.jobs(ids)} == {"queued"}


def rings_connected() -> str:
    """The first ring of a process connects; later ones don't."""
    return note.apply_async(("first ring",), queue="heavy").id


def rings_around_a_commit() -> list[int]:
    """The messages that wait in Redis before a job is enqueued, inside its transaction, and after."""
    before = depths(["heavy"])["heavy"]
    with transaction.atomic():
        note.apply_async(("inside",), queue="heavy")
        inside = depths(["heavy"])["heavy"]
    return [before, inside, depths(["heavy"])["heavy"]]


def test_a_job_is_rung_after_the_commit(station: Station) -> None:
    before, inside, after = station.call(rings_around_a_commit)
    assert (inside, after) == (before, before + 1)
