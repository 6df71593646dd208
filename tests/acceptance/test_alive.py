"""`manage.py alive`: a worker and a beat that live, hang, or only miss Redis and the database."""

import os
import signal
import time

import pytest

from tests.support.outages import stopped
from tests.support.station import Station
from tests.support.waiting import wait_for


def alive(station: Station, kind: str) -> bool:
    done = station.manage("alive", kind, check=False)
    assert done.returncode in (0, 1)
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1, done.stderr
    return done.returncode == 0


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kind", ["worker", "beat"])
def test_a_process_that_hangs_is_not_alive_until_it_goes_on(fresh_station: Station, kind: str) -> None:
    assert not alive(fresh_station, kind), "none runs yet"
    process = fresh_station.worker() if kind == "worker" else fresh_station.beat()
    wait_for(lambda: alive(fresh_station, kind), 30, "a sign of life")
    os.kill(process.pid, signal.SIGSTOP)
    wait_for(lambda: not alive(fresh_station, kind), 30, "the pulse to be stale")
    os.kill(process.pid, signal.SIGCONT)
    wait_for(lambda: alive(fresh_station, kind), 30, "the pulse to be fresh again")
    process.kill()
    assert not alive(fresh_station, kind), "its file is no sign of life of anybody"


@pytest.mark.databases("postgres")
def test_an_outage_of_redis_and_the_database_is_no_reason_to_restart(fresh_station: Station) -> None:
    processes = [fresh_station.worker(), fresh_station.beat()]
    wait_for(lambda: alive(fresh_station, "worker") and alive(fresh_station, "beat"), 30, "both to live")
    fresh_station.valkey.stop()
    with stopped(fresh_station):
        time.sleep(12)  # twice the bound, and a little
        assert alive(fresh_station, "worker")
        assert alive(fresh_station, "beat")
    assert all(process.running for process in processes)
