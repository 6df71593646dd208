"""The bound, with the values that are shipped: a minute without PostgreSQL."""

import time

import pytest

from tests.plain_tasks import journaled
from tests.support.accounts import balance
from tests.support.figures import tell
from tests.support.outages import away, stopped
from tests.support.station import Station

pytestmark = [pytest.mark.databases("postgres"), pytest.mark.timeout(300)]

OUTAGE = 60.0
#: Seconds after its return within which jobs end and due ones start: the promise is 5, and slack.
BACK = 10.0
#: Seconds that the longest body goes on after it: a worker that was silent through the outage would have been
#: taken for dead by then (the rescuer holds off for 20 s, looks every 5).
AFTER = 27.0


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TIME_SCALE": "1"}


def test_a_minute_without_the_database_costs_nothing_but_the_minute(fresh_station: Station) -> None:
    """Rows 09, 21: jobs that run, end, wait and fall due in it; the promise is to be back within 5 s."""
    station = fresh_station
    station.worker("default", concurrency=2, name="first")
    station.worker("default", concurrency=1, name="second")
    station.beat()
    ending, lasting = (station.post(journaled, seconds) for seconds in (6, OUTAGE + AFTER))
    for id in (ending, lasting):
        station.wait_state(id, "running")
    due = [station.post(journaled, countdown=seconds) for seconds in (3, 20, 40)]
    third = station.post(journaled, 6)
    waiting = [station.post(journaled, 0.2) for _ in range(8)]
    away(station, stopped, OUTAGE)
    returned = time.monotonic()
    station.wait(lambda: station.job(ending)["finished_at"] or station.job(third)["finished_at"], BACK)
    first = time.monotonic() - returned
    station.wait(lambda: all(row["started_at"] for row in station.jobs(due)), BACK)
    dispatched = time.monotonic() - returned
    rows = balance(station, [ending, third, lasting, *due, *waiting])
    assert [(row["state"], row["attempt"], row["crashes"]) for row in rows] == [("succeeded", 1, 0)] * len(rows)
    assert [station.journal().count(f"start {row['id']}") for row in rows] == [1] * len(rows)
    tell("09", "first job ends after 60 s without the database (s, shipped times)", first)
    tell("09", "due jobs have begun (s, shipped times)", dispatched)
