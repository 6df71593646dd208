"""Several beats: one leads, another takes over, no tick is doubled and no job waits for ever."""

import signal
import time
from typing import Any

import pytest
from celery import current_app

from tests.plain_tasks import note
from tests.support.station import Station


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.ticking"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker; each test starts the beats it wants."""
    station.worker("default", concurrency=2)
    return station


def ticks(station: Station) -> list[dict[str, Any]]:
    return station.sql("SELECT * FROM jobs_job WHERE schedule IS NOT NULL AND task LIKE %s", "%whoami")


def test_two_beats_enqueue_each_tick_once(running: Station) -> None:
    running.beat()
    running.beat()
    running.wait(lambda: ticks(running), what="the first tick")
    before, since = len(ticks(running)), time.monotonic()
    time.sleep(4)
    made, seconds = len(ticks(running)) - before, time.monotonic() - since
    # One a second, whichever beat leads.
    assert 2 <= made <= seconds + 1


def test_the_second_beat_takes_over_from_a_killed_one(running: Station) -> None:
    first = running.beat()
    running.wait(lambda: running.sql("SELECT * FROM jobs_lease"))
    second = running.beat()
    first.signal(signal.SIGKILL)
    id = running.post(note, "after the leader", countdown=0.5)
    running.wait_state(id, "succeeded")
    assert second.running


def test_what_fell_due_without_any_beat_runs_when_one_starts(running: Station) -> None:
    ids = [running.post(note, f"nobody led {n}", countdown=0.1) for n in range(5)]
    time.sleep(1)
    assert {row["state"] for row in running.jobs(ids)} == {"scheduled"}
    running.beat()
    running.wait_ended(ids)
    assert sorted(line for line in running.journal() if line.startswith("nobody led")) == [
        f"nobody led {n}" for n in range(5)
    ]


def for_newer_workers() -> str:
    return str(current_app.send_task("tests.plain_tasks.late.brand_new", ("at last",)).id)


def test_a_job_whose_task_no_worker_knows_waits_for_one_that_does(running: Station) -> None:
    running.beat()
    id = running.call(for_newer_workers)
    running.wait(lambda: running.job(id)["hold"] == "unknown_task")
    assert running.job(id)["state"] == "queued"
    running.env["JOBS_TASK_MODULES"] += ",tests.plain_tasks.late"
    running.worker("default", concurrency=1)
    running.wait_state(id, "succeeded")
    assert running.journal().count("at last") == 1
