"""Workers die: their jobs are rescued, tried again, and given up after three deaths."""

import os
import signal

import pytest

from tests.plain_tasks import exiting, note, out_of_memory, slow
from tests.support.processes import Process, kill
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat; each test starts the workers it wants."""
    station.beat()
    return station


def busy_child(station: Station, worker: Process) -> int:
    """The pid of the process that runs the body: the only child of a worker with one."""
    return station.wait(lambda: len(worker.children()) == 1 and worker.children()[0])


def test_a_killed_worker_loses_no_job(running: Station) -> None:
    first = running.worker("default", concurrency=1)
    id = running.post(slow, 3, "killed worker")
    running.wait_state(id, "running")
    child = busy_child(running, first)
    first.signal(signal.SIGKILL)
    kill(child)
    second = running.worker("default", concurrency=1, name="second")
    row = running.wait_state(id, "succeeded", timeout=45)
    assert (row["attempt"], row["crashes"]) == (2, 1)
    assert [attempt["outcome"] for attempt in running.attempts(id)] == ["crashed"]
    assert running.result(id)["worker"].startswith("second@")
    assert second.running


def test_a_killed_child_is_told_by_its_worker_at_once(running: Station) -> None:
    worker = running.worker("default", concurrency=1)
    id = running.post(slow, 2, "killed child")
    running.wait_state(id, "running")
    kill(busy_child(running, worker))
    row = running.wait_state(id, "succeeded")
    assert (row["attempt"], row["crashes"]) == (2, 1)
    assert [attempt["outcome"] for attempt in running.attempts(id)] == ["crashed"]


def test_a_job_whose_process_exits_once_is_tried_again(running: Station) -> None:
    running.worker("default", concurrency=1)
    id = running.post(exiting, "exits once", 1)
    assert running.wait_state(id, "succeeded")["attempt"] == 2
    assert running.journal().count("exits once") == 2


def test_a_job_that_kills_its_process_three_times_is_dead(running: Station) -> None:
    worker = running.worker("default", concurrency=2)
    id = running.post(out_of_memory, "killer")
    row = running.wait_state(id, "dead", timeout=45)
    assert (row["attempt"], row["crashes"]) == (3, 3)
    [letter] = running.letters(id)
    assert letter["reason"] == "crashed"
    assert running.result(id)["status"] == "FAILURE"
    assert running.journal().count("killer") == 3
    running.wait_state(running.post(note, "the worker lives"), "succeeded")
    assert worker.running


def test_a_silent_worker_loses_its_jobs_and_settles_nothing_when_it_wakes(running: Station) -> None:
    sleeper = running.worker("default", concurrency=1, name="sleeper")
    id = running.post(slow, 1, "silent")
    running.wait_state(id, "running")
    child = busy_child(running, sleeper)
    for pid in (sleeper.pid, child):
        os.kill(pid, signal.SIGSTOP)
    running.worker("default", concurrency=1, name="awake")
    row = running.wait_state(id, "succeeded", timeout=45)
    assert row["attempt"] == 2
    for pid in (child, sleeper.pid):
        os.kill(pid, signal.SIGCONT)
    running.wait(lambda: running.journal().count("end silent") == 2)
    running.wait_state(running.post(note, "after waking"), "succeeded")
    assert running.job(id) == row
    assert running.result(id)["worker"].startswith("awake@")


def test_a_warm_shutdown_lets_the_running_job_end(running: Station) -> None:
    worker = running.worker("default", concurrency=1)
    id = running.post(slow, 1, "warm")
    running.wait_state(id, "running")
    assert worker.stop(grace=20) == 0
    assert running.job(id)["state"] == "succeeded"


def test_a_stopped_workers_waiting_jobs_go_to_the_next(running: Station) -> None:
    worker = running.worker("default", concurrency=1)
    ids = [running.post(slow, 0.3, f"next {n}") for n in range(6)]
    running.wait_state(ids[0], "running", "succeeded")
    worker.stop(grace=20)
    running.worker("default", concurrency=2)
    assert {row["state"] for row in running.wait_ended(ids)} == {"succeeded"}
    assert sorted(line for line in running.journal() if line.startswith("start next")) == [
        f"start next {n}" for n in range(6)
    ]
