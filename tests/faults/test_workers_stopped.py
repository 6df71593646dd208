"""Workers are told to stop, as a deploy does it; jobs meet their limits."""

import os
import signal
import sys
import time

import pytest

from tests.plain_tasks import journaled, note
from tests.plain_tasks.breaking import deaf, hangs_once
from tests.support.accounts import balance
from tests.support.breaking import BREAKING, RESCUED, SLACK, all_began, began, child_of, gone, within
from tests.support.processes import Process
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: Seconds a stopping worker waits for its jobs, and what its end may take beside.
SOFT, GRACE = 1, 15


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {**BREAKING, "SOFT_SHUTDOWN_TIMEOUT": str(SOFT)}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat; each test starts the workers it stops."""
    station.beat()
    return station


def contained(station: Station, name: str) -> Process:
    """A worker as the compose file starts it: SIGTERM begins the soft shutdown."""
    options = ["worker", "-Q", "default", "-c", "2", "-n", f"{name}@%h"]
    return station.start(name, [sys.executable, "-m", "celery", "-A", "config", *options], {"REMAP_SIGTERM": "SIGQUIT"})


def test_a_stopped_container_hands_its_jobs_back_without_counting_an_attempt(running: Station) -> None:
    """Row 10b: with REMAP_SIGTERM."""
    worker = contained(running, "contained")
    ids = [running.post(hangs_once), running.post(hangs_once)]
    all_began(running, ids)
    running.worker(concurrency=2, name="other")
    with within("10b", f"the worker's end s, of which {SOFT} it waits", SOFT + GRACE):
        worker.signal(signal.SIGTERM)
        worker.popen.wait(SOFT + GRACE)
    with within("10b", "its jobs run elsewhere s", SLACK):
        all_began(running, ids, times=2)
    rows = balance(running, ids, given_back=1)
    assert {(row["state"], row["attempt"], row["crashes"]) for row in rows} == {("succeeded", 1, 0)}
    assert {running.attempts(id) == [] for id in ids} == {True}


def test_a_worker_that_is_killed_after_its_grace_loses_nothing(running: Station) -> None:
    """Rows 10, 10c: without REMAP_SIGTERM it waits for its jobs until the container is killed."""
    worker = running.worker(concurrency=2)
    ids = [running.post(hangs_once), running.post(hangs_once)]
    all_began(running, ids)
    worker.signal(signal.SIGTERM)
    time.sleep(1)
    assert worker.running
    worker.kill()
    with within("10c", "its jobs run elsewhere s, at a tenth", RESCUED + SLACK):
        running.worker(concurrency=2)
        all_began(running, ids, times=2)
    rows = balance(running, ids)
    assert {(row["state"], row["attempt"], row["crashes"]) for row in rows} == {("succeeded", 2, 1)}


def test_a_worker_with_grace_enough_ends_its_jobs_and_leaves_the_rest(running: Station) -> None:
    """Row 10d."""
    worker = running.worker(concurrency=1)
    ids = [running.post(journaled, 2), *[running.post(journaled) for _ in range(5)]]
    began(running, ids[0])
    assert worker.stop(grace=20) == 0
    assert running.job(ids[0])["state"] == "succeeded"
    running.worker(concurrency=1)
    assert {(row["state"], row["attempt"]) for row in balance(running, ids)} == {("succeeded", 1)}
    assert all(running.journal().count(f"start {id}") == 1 for id in ids)


def test_a_job_that_swallows_the_soft_limit_is_killed_at_the_hard_one(running: Station) -> None:
    """Row 15; and a body that stands still altogether."""
    worker = running.worker(concurrency=1)
    swallowed = running.post(deaf)
    began(running, swallowed)
    balance(running, [swallowed], 15)
    stopped = running.post(deaf)
    began(running, stopped)
    child = child_of(running, worker)
    os.kill(child, signal.SIGSTOP)
    rows = balance(running, [swallowed, stopped], 15)
    assert {(row["state"], row["attempt"]) for row in rows} == {("dead", 1)}
    assert [letter["reason"] for row in rows for letter in running.letters(row["id"])] == ["timed_out"] * 2
    running.wait(lambda: gone(child), what="the frozen child to end")
    running.wait_state(running.post(note, "the worker lives"), "succeeded")
    assert worker.running


def test_a_hard_limit_below_the_soft_one_of_everybody_is_kept(running: Station) -> None:
    """Row 08: Celery alone starts the hard limit's clock when the soft one (240 s) has struck, after the lease."""
    running.worker(concurrency=2)
    id = running.post(hangs_once, time_limit=2)
    [row] = balance(running, [id], 2 + SLACK)
    assert (row["state"], row["attempt"], row["crashes"]) == ("dead", 1, 0)
    assert running.journal().count(f"start {id}") == 1
