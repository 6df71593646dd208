"""Workers stand still, as a paused machine does: their jobs run elsewhere, and what wakes settles nothing."""

import time

import psycopg
import pytest

from tests.plain_tasks import journaled
from tests.plain_tasks.breaking import hangs_once
from tests.support.accounts import balance
from tests.support.breaking import BREAKING, RESCUED, SLACK, began, broadcast, child_of, freeze, gone, thaw, within
from tests.support.station import Station

#: Seconds that a lease outlives the hard limit (30, here at a tenth).
LEASE_MARGIN = 3.0


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return BREAKING


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat; each test starts the workers it freezes."""
    station.beat()
    return station


def test_a_frozen_worker_loses_its_job_and_settles_nothing_when_it_wakes(running: Station) -> None:
    """Row 16: one settle, and the result is the second's."""
    sleeper = running.worker(concurrency=1, name="sleeper")
    id = running.post(journaled, 1)
    began(running, id)
    frozen = freeze(sleeper)
    with within("16", "a frozen worker's job runs elsewhere s, at a tenth", RESCUED + SLACK):
        running.worker(concurrency=1, name="awake")
        began(running, id, times=2)
    [row] = balance(running, [id])
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    thaw(frozen)
    running.wait(lambda: running.journal().count(f"end {id}") == 2, what="the frozen body to end")
    balance(running, [running.post(journaled) for _ in range(4)])
    assert running.job(id) == row
    assert running.result(id)["worker"].startswith("awake@")


@pytest.mark.databases("postgres")
def test_a_worker_whose_main_process_is_stuck_keeps_its_job_no_longer_than_its_lease(running: Station) -> None:
    """Its heart beats and it enforces no limit: the lease ends the attempt, and a new one begins elsewhere."""
    stuck = running.worker(concurrency=1, name="stuck")
    child = child_of(running, stuck)
    id = running.post(hangs_once, time_limit=2)
    began(running, id)
    running.call(broadcast, "stall", {"seconds": 12})
    running.wait(lambda: "stall 12" in running.journal())
    with within("08", "a stuck worker's job of 2 s at most runs elsewhere s, at a tenth", 2 + LEASE_MARGIN + SLACK):
        running.worker(concurrency=1, name="free")
        began(running, id, times=2)
    assert "stall over" not in running.journal(), "it was not stuck long enough for this test"
    silent = "SELECT 1 FROM jobs_worker WHERE left(name, 5) = 'stuck' AND heartbeat_at < now() - interval '2 seconds'"
    assert not running.sql(silent), "its heart did not beat"
    [row] = balance(running, [id])
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    running.wait(lambda: gone(child), what="the body that nobody waits for to end")
    assert running.job(id) == row


@pytest.mark.databases("postgres")
def test_a_row_that_a_frozen_worker_keeps_locked_stops_nobody_else(running: Station) -> None:
    """It froze (or its machine was cut off) in the middle of its settle, with the row's lock in its hand."""
    frozen = running.worker(concurrency=1, name="frozen")
    id = running.post(hangs_once)
    began(running, id)
    with psycopg.connect(running.database_url) as cut_off:
        cut_off.execute("SELECT * FROM jobs_job WHERE id = %s FOR UPDATE", [id])
        frozen.kill()
        running.worker(concurrency=1)
        time.sleep(RESCUED)
        others = [running.post(journaled, countdown=0.5) for _ in range(5)]
        balance(running, others, 2 * SLACK)
    [row] = balance(running, [id])
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
