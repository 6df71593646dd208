"""A deploy that rolls: jobs of tasks that the workers of the day don't know."""

import time

import pytest
from celery import current_app

from tests.support.breaking import SLACK
from tests.support.station import Station


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    """A patience (seconds) that a test outlives; as shipped it is a day."""
    return {"UNKNOWN_TASK_PATIENCE": "15"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat, and a worker of the old code."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def for_newer_workers(word: str) -> str:
    return str(current_app.send_task("tests.plain_tasks.late.brand_new", (word,)).id)


def held(station: Station, word: str) -> str:
    """A job that the old worker has put aside; its id."""
    id = station.call(for_newer_workers, word)
    station.wait(lambda: station.job(id)["hold"] == "unknown_task", what="the hold")
    assert station.job(id)["state"] == "queued"
    return id


def test_a_job_whose_task_no_worker_knows_waits_for_one_that_does(running: Station) -> None:
    id = held(running, "at last")
    running.env["JOBS_TASK_MODULES"] += ",tests.plain_tasks.late"
    running.worker("default", concurrency=1)
    row = running.wait_state(id, "succeeded")
    assert row["attempt"] == 1
    assert running.journal().count("at last") == 1


def test_a_job_that_no_worker_has_known_for_long_enough_is_dead(running: Station) -> None:
    id = held(running, "never")
    time.sleep(8)
    other = held(running, "still")
    running.wait_state(id, "dead", timeout=15 + SLACK)
    [letter] = running.letters(id)
    assert (letter["reason"], letter["status"]) == ("unknown_task", "open")
    assert running.result(id)["status"] == "FAILURE"
    assert running.job(other)["state"] == "queued"
    assert "never" not in running.journal()
