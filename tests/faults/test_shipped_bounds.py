"""The bounds that the README promises, with the values that are shipped: nothing is at a tenth here."""

import signal
import sys
import time

import pytest

from tests.plain_tasks import journaled
from tests.plain_tasks.breaking import hangs_once
from tests.support.accounts import balance
from tests.support.breaking import BREAKING, began, tell_worker
from tests.support.figures import timed
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: Seconds until a container that was told to stop is killed, where nothing is set.
CONTAINER = 10
#: Seconds, as promised; and what a busy machine may add.
RESCUED, TAKEOVER, SLACK = 45, 15, 5
#: Seconds: a lease beyond the hard limit, and what the rescuer's next look and the first wait after a crash add.
LEASE_MARGIN, LOOK, FIRST_WAIT = 30, 5, 5


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {**BREAKING, "JOBS_TIME_SCALE": "1"}


def test_a_killed_leader_and_then_a_killed_worker_are_made_good_in_time(station: Station) -> None:
    """The lead within 15 s, the worker's job within 45 s; one after the other, as one fault at a time."""
    leader = station.beat()
    station.wait(lambda: station.sql("SELECT * FROM jobs_lease"), what="the first beat to lead")
    station.beat()
    first, _ = station.worker(concurrency=1, name="first"), station.worker("heavy", concurrency=1, name="second")
    id = station.post(hangs_once)
    began(station, id)
    leader.kill()
    due = station.post(journaled, countdown=0.1, queue="heavy")
    with timed("beats", "a due job begins after the leader's death s"):
        began(station, due, timeout=TAKEOVER + SLACK)
    station.worker(concurrency=1, name="third")
    first.kill()
    killed = time.monotonic()
    with timed("01c", "a job of a dead worker runs elsewhere s"):
        began(station, id, times=2, timeout=RESCUED + SLACK)
    rows = balance(station, [id, due])
    assert [row["attempt"] for row in rows] == [2, 1]
    assert time.monotonic() - killed < RESCUED + SLACK + 10


def test_a_container_that_is_stopped_hands_its_jobs_back_before_it_is_killed(station: Station) -> None:
    """Row 10b: the soft shutdown as shipped ends within a container's grace."""
    station.beat()
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "default", "-c", "1", "-n", "stopped@%h"]
    stopped = station.start("stopped", command, {"REMAP_SIGTERM": "SIGQUIT"})
    id = station.post(hangs_once)
    began(station, id)
    with timed("10b", "the worker's end s, as shipped"):
        stopped.signal(signal.SIGTERM)
        assert stopped.popen.wait(CONTAINER) == 0
    station.worker(concurrency=1, name="next")
    began(station, id, times=2, timeout=SLACK * 3)
    [row] = balance(station, [id], given_back=1)
    assert (row["attempt"], row["crashes"]) == (1, 0)


def test_a_job_that_nobody_stops_at_its_limit_is_taken_from_its_worker_when_its_lease_ends(station: Station) -> None:
    """A stuck main process keeps no limit, though its heart beats."""
    station.beat()
    station.worker(concurrency=1, name="stuck")
    id = station.post(hangs_once, time_limit=2)
    began(station, id)
    station.call(tell_worker, station.job(id)["worker"], "stall", {"until": f"enough of {id}"})
    station.wait(lambda: f"stall until enough of {id}" in station.journal())
    station.worker(concurrency=1, name="next")
    with timed("08", "a job of 2 s at most, of a stuck worker, runs elsewhere s"):
        began(station, id, times=2, timeout=2 + LEASE_MARGIN + LOOK + FIRST_WAIT + SLACK)
    [row] = balance(station, [id])
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 2, 1)
    station.write(f"enough of {id}")
