"""Queues are paused and resumed, and may have a limit over all workers."""

import pytest

from tests.plain_tasks import note, slow
from tests.support import people
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat and a worker; nobody works on the queue `heavy`."""
    station.worker("default,emails", concurrency=2)
    station.beat()
    return station


def test_a_paused_queue_keeps_its_jobs_until_it_is_resumed(running: Station) -> None:
    running.call(people.pause, "emails")
    id = running.post(note, "paused", queue="emails")
    running.wait_state(running.post(note, "elsewhere"), "succeeded")
    running.wait(lambda: running.job(id)["hold"] == "paused")
    assert running.job(id)["state"] == "queued"
    assert "paused" not in running.journal()
    running.call(people.resume, "emails")
    assert running.wait_state(id, "succeeded")["hold"] == ""


def test_a_pause_survives_a_restart_of_everything(running: Station) -> None:
    running.call(people.pause, "heavy")
    id = running.post(note, "still paused", queue="heavy")
    running.valkey.flushall()
    running.worker("heavy", concurrency=1)
    running.get(running.post(note, "another"))
    assert running.job(id)["state"] == "queued"
    assert "still paused" not in running.journal()
    running.call(people.resume, "heavy")
    running.wait_state(id, "succeeded")


def test_a_job_that_was_rung_before_the_pause_does_not_start(running: Station) -> None:
    id = running.post(note, "rung before", queue="payments")
    running.call(people.pause, "payments")
    running.worker("payments", concurrency=1)
    running.wait_state(running.post(note, "meanwhile"), "succeeded")
    assert running.job(id)["state"] == "queued"
    running.call(people.resume, "payments")
    running.wait_state(id, "succeeded")


def test_purging_a_queue_cancels_its_waiting_jobs(running: Station) -> None:
    ids = [running.post(note, "purged", queue="heavy") for _ in range(3)]
    assert running.call(people.purge, "heavy") >= 3
    assert {row["state"] for row in running.jobs(ids)} == {"cancelled"}


def test_a_limit_of_one_holds_over_two_workers(running: Station) -> None:
    running.worker("payments", concurrency=2)
    running.worker("payments", concurrency=2)
    ids = [running.post(slow, 0.1, f"payment {n}", queue="payments") for n in range(10)]
    running.wait_ended(ids, timeout=60)
    assert {row["state"] for row in running.jobs(ids)} == {"succeeded"}
    told = [line for line in running.journal() if " payment " in line]
    # One at a time, and in the order in which they were accepted.
    assert told == [f"{word} payment {n}" for n in range(10) for word in ("start", "end")]
    assert running.sql("SELECT * FROM jobs_queueslot WHERE queue_id = %s", "payments") == []
