"""Workers stand still, as a paused machine does: their jobs run elsewhere, and what wakes settles nothing."""

import time
from typing import Any

import psycopg
import pytest

from tests.plain_tasks import journaled
from tests.plain_tasks.breaking import hangs_once, patient
from tests.support.accounts import balance
from tests.support.breaking import (
    BREAKING,
    RESCUED,
    SLACK,
    began,
    freeze,
    gone,
    taken,
    tell_worker,
    thaw,
    within,
)
from tests.support.station import Station

#: Seconds that a job may run, and that its lease is longer (30, here at a tenth).
LIMIT, LEASE_MARGIN = 4, 3


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return BREAKING


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat; each test starts the workers it freezes."""
    station.beat()
    return station


def heartbeat(station: Station, worker_id: str) -> Any:
    """When this worker last wrote its row."""
    return station.sql("SELECT heartbeat_at FROM jobs_worker WHERE id = %s", worker_id)[0]["heartbeat_at"]


def test_a_frozen_worker_loses_its_job_and_settles_nothing_when_it_wakes(running: Station) -> None:
    """Row 16: one settle, and the result is the second's."""
    workers = [running.worker(concurrency=1) for _ in range(2)]
    id = running.post(patient)
    sleeper, [awake] = taken(running, id, workers)
    frozen = freeze(sleeper)
    with within("16", "a frozen worker's job runs elsewhere s, at a tenth", RESCUED + SLACK):
        began(running, id, times=2)
    running.write(f"go {id}")
    [row] = balance(running, [id])
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    assert running.result(id)["worker"] == row["worker"]
    thaw(frozen)
    running.wait(lambda: running.journal().count(f"end {id}") == 2, what="the frozen body to end")
    balance(running, [running.post(journaled, 0.2) for _ in range(4)])
    assert running.job(id) == row
    assert running.result(id)["worker"] == row["worker"]
    assert awake.running


@pytest.mark.databases("postgres")
def test_a_worker_whose_main_process_is_stuck_keeps_its_job_no_longer_than_its_lease(running: Station) -> None:
    """Its heart beats and it enforces no limit: the lease ends the attempt, and a new one begins elsewhere."""
    workers = [running.worker(concurrency=1) for _ in range(2)]
    id = running.post(hangs_once, time_limit=LIMIT)
    stuck, [_] = taken(running, id, workers)
    [child], row = stuck.children(), running.job(id)
    running.call(tell_worker, row["worker"], "stall", {"until": f"enough of {id}"})
    running.wait(lambda: f"stall until enough of {id}" in running.journal())
    before = heartbeat(running, row["worker_id"])
    with within("08", f"a stuck worker's job of {LIMIT} s at most runs elsewhere s", LIMIT + LEASE_MARGIN + SLACK):
        began(running, id, times=2)
    assert heartbeat(running, row["worker_id"]) > before, "its heart did not beat"
    [row] = balance(running, [id])
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    running.write(f"enough of {id}")
    running.wait(lambda: gone(child), what="the body that nobody waits for to end")
    assert running.job(id) == row


@pytest.mark.databases("postgres")
def test_a_row_that_a_frozen_worker_keeps_locked_stops_nobody_else(running: Station) -> None:
    """It froze (or its machine was cut off) in the middle of its settle, with the row's lock in its hand."""
    workers = [running.worker(concurrency=1) for _ in range(2)]
    id = running.post(hangs_once)
    frozen, [_] = taken(running, id, workers)
    with psycopg.connect(running.database_url) as cut_off:
        cut_off.execute("SELECT * FROM jobs_job WHERE id = %s FOR UPDATE", [id])
        frozen.kill()
        time.sleep(RESCUED)
        others = [running.post(journaled, countdown=0.5) for _ in range(5)]
        balance(running, others, 2 * SLACK)
    [row] = balance(running, [id])
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
