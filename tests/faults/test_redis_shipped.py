"""The bounds with the constants as they are shipped: nothing is scaled here."""

import time

import pytest

from tests.support.callers import BACK, SLACK, check_bounded, check_once, ids, posts
from tests.support.figures import timed
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: Seconds without Redis: long enough for every wait between two tries to grow to its longest.
AWAY = 20


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    """The shipped times."""
    return {"JOBS_TIME_SCALE": "1"}


def test_workers_are_back_within_fifteen_seconds_after_redis_returns_empty(station: Station) -> None:
    """Row 04, at shipped times: what waited before and what was posted meanwhile is being worked on."""
    station.valkey.forget()
    worker = station.worker("default", concurrency=2)
    station.beat()
    lost = station.call(posts, 30, 0.3)
    station.wait(station.journal, what="work to begin")
    station.valkey.kill()
    before = time.monotonic()
    meanwhile = station.call(posts, 5, queue="default")
    check_bounded(meanwhile)
    time.sleep(before + AWAY - time.monotonic())
    begun = len(station.journal())
    with timed("04", "back to work after Redis was away 20 s and returned empty (s, shipped times)"):
        station.valkey.start()
        station.wait(lambda: len(station.journal()) > begun, timeout=BACK + SLACK, what="work to go on")
    check_once(station, ids([*lost, *meanwhile]))
    assert worker.running
