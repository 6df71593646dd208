"""A large backlog, and everything that carries it is killed at once."""

import json

import pytest

from tests.support.callers import bulk
from tests.support.figures import tell, timed
from tests.support.hints import hints
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

BACKLOG, AGAIN = 20_000, 2000
WAITING = "SELECT id FROM jobs_job WHERE state = 'queued'"
#: Without those of a schedule that was due.
DONE = "SELECT id FROM jobs_job WHERE state = 'succeeded' AND task = 'tests.plain_tasks.journaled'"


def test_a_backlog_outlives_redis_and_its_worker(fresh_station: Station) -> None:
    """Row 14: 20,000 jobs wait when Redis and the worker are killed; a part is drained, all are accounted for."""
    station = fresh_station
    accepted = set(posted(station, BACKLOG))
    assert len(accepted) == BACKLOG
    station.beat()
    first = station.worker("default", concurrency=2)
    station.wait(lambda: len(done(station)) > 50, what="some to be done")
    station.valkey.kill()
    first.kill()
    with timed("14", "first job after both were killed, with a new worker (s)"):
        station.valkey.start()
        before = len(done(station))
        second = station.worker("default", concurrency=2)
        station.wait(lambda: len(done(station)) > before, what="work to go on")
    station.wait(lambda: len(done(station)) > before + 200, what="work to go on")
    second.kill()
    station.wait(lambda: not station.sql("SELECT id FROM jobs_job WHERE state = 'running'"), what="a rescue")
    # Not those of a schedule that was due.
    rows = [row for row in station.sql("SELECT id, state FROM jobs_job") if row["id"] in accepted]
    assert {row["id"] for row in rows} == accepted
    assert {row["state"] for row in rows} <= {"queued", "retrying", "succeeded"}
    tell("14", "lost", BACKLOG - len(rows))
    tell("14", "waiting without a message", len(unrung(station)))
    check_once_each(station)


def test_a_backlog_of_which_redis_has_nothing_is_rung_again(fresh_station: Station) -> None:
    """Row 14 and 04: Redis returns empty; the whole backlog is published again, each job once."""
    station = fresh_station
    station.valkey.forget()
    accepted = set(posted(station, AGAIN))
    station.valkey.kill()
    station.valkey.start()
    with timed("14", "2,000 jobs rung again in an empty Redis (s, a tenth of the shipped times, with beat's start)"):
        beat = station.beat()
        station.wait(lambda: rung(station) >= accepted, timeout=60, what="all to be rung")
    found = [job_id for job_id in rung_ids(station) if job_id in accepted]
    # A ring whose answer comes too late is done again.
    assert len(found) == AGAIN or "can't be rung" in beat.output(), "rung twice"
    worker = station.worker("default", concurrency=2)
    station.wait(lambda: len(done(station)) > 100, what="work to go on")
    assert worker.running
    check_once_each(station)


def posted(station: Station, n: int) -> list[str]:
    """So many jobs, in transactions of 2,000."""
    console = station.console()
    made = [id for _ in range(n // 2000) for id in console.call(bulk, 2000)]
    console.stop()
    return made


def done(station: Station) -> set[str]:
    return {row["id"] for row in station.sql(DONE)}


def rung(station: Station) -> set[str]:
    """The jobs that Redis has a message of."""
    return set(rung_ids(station))


def rung_ids(station: Station) -> list[str]:
    """The job of each message in Redis."""
    return [json.loads(message)["headers"]["id"] for message in hints(station)]


def unrung(station: Station) -> set[str]:
    """The jobs that wait, and that Redis has no message of: the reconciler's to find."""
    return {row["id"] for row in station.sql(WAITING)} - rung(station)


def check_once_each(station: Station) -> None:
    """What was not under way when its worker was killed ran once."""
    before = done(station)
    ends = [line.removeprefix("end ") for line in station.journal() if line.startswith("end ")]
    crashed = {row["id"] for row in station.sql("SELECT id FROM jobs_job WHERE crashes > 0")}
    assert before <= set(ends)
    assert len([id for id in ends if id not in crashed]) == len(set(ends) - crashed), "a job ran twice"
