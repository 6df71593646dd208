"""Jobs that kill what runs them: given up after three deaths, while healthy jobs beside them keep flowing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.plain_tasks import note
from tests.plain_tasks.breaking import poison, retried_poison
from tests.support.accounts import balance
from tests.support.breaking import BREAKING, post_many
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: Seconds between the deaths (5 and 30, here at a tenth).
BACKOFF = (0.5, 3.0)


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return BREAKING


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat; each test starts the workers it kills."""
    station.beat()
    return station


@contextmanager
def supervised(station: Station, concurrency: int) -> Iterator[list[int]]:
    """A worker that is started again whenever it has ended, as containers are; the pids so far."""
    pids: list[int] = []
    over = threading.Event()

    def supervise() -> None:
        while not over.is_set():
            name = f"life{len(pids)}"
            worker = station.celery(name, "worker", "-c", str(concurrency), "-Q", "default", "-n", f"{name}@%h")
            pids.append(worker.pid)
            while worker.running and not over.wait(0.1):
                pass
        worker.kill()

    thread = threading.Thread(target=supervise)
    thread.start()
    try:
        yield pids
    finally:
        over.set()
        thread.join()


def pauses(station: Station, id: str) -> list[float]:
    """Seconds from each death of a job to its next life."""
    attempts = station.attempts(id)
    return [(b["started_at"] - a["ended_at"]).total_seconds() for a, b in pairwise(attempts)]


def check_quarantined(station: Station, id: str) -> None:
    """Three lives, three crashes, one letter."""
    row = station.job(id)
    assert (row["state"], row["attempt"], row["crashes"]) == ("dead", 3, 3)
    assert {attempt["outcome"] for attempt in station.attempts(id)} == {"crashed"}
    [letter] = station.letters(id)
    assert letter["reason"] == "crashed"
    assert all(pause >= least for pause, least in zip(pauses(station, id), BACKOFF, strict=True))


def test_a_job_that_kills_its_process_is_given_up_after_three_deaths(running: Station) -> None:
    """Row 03, by exit code 137 and by SIGSEGV: the 20 healthy jobs beside them keep flowing."""
    worker = running.worker(concurrency=2)
    bad = [running.post(poison, "out_of_memory"), running.post(poison, "segfault")]
    healthy = post_many(running, 20, 0.05)
    assert {(row["state"], row["attempt"]) for row in balance(running, healthy, 30)} == {("succeeded", 1)}
    balance(running, bad)
    for id in bad:
        check_quarantined(running, id)
        assert running.journal().count(f"start {id}") == 3
    running.wait_state(running.post(note, "the worker lives"), "succeeded")
    assert worker.running


def test_a_job_that_kills_the_whole_worker_is_given_up_after_three_deaths(running: Station) -> None:
    """Rows 03c, 22b: the deaths are counted in the table; also where the task asks for Celery's own counter."""
    with supervised(running, concurrency=2) as lives:
        bad = [running.post(poison, "container"), running.post(retried_poison, "container")]
        healthy = post_many(running, 20, 0.05)
        assert {row["state"] for row in balance(running, healthy, 90)} == {"succeeded"}
        balance(running, bad, 90)
        for id in bad:
            check_quarantined(running, id)
        assert 4 <= len(lives) <= 7, "three deaths each, some of them together, and the last worker lives"


def test_a_lost_child_counts_as_a_retry_where_the_task_says_so(running: Station) -> None:
    """Row 22: `retry_on_worker_lost` keeps its meaning; the wait for the retry stands in the table."""
    running.worker(concurrency=1)
    id = running.post(retried_poison, "out_of_memory")
    row = running.wait_state(id, "retrying")
    assert row["run_at"] is not None
    [row] = balance(running, [id])
    assert (row["state"], row["attempt"], row["retries"]) == ("dead", 2, 1)
    assert running.journal().count(f"start {id}") == 2
