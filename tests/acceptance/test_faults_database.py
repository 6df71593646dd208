"""PostgreSQL goes away under running jobs: nothing is lost, nothing is acknowledged away."""

import time

import pytest

from tests.plain_tasks import add, note, slow
from tests.support.console import RemoteError
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

OUTAGE = 4.0


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def away(station: Station, seconds: float = OUTAGE) -> None:
    """PostgreSQL is stopped, and started again after so many seconds."""
    server = station.databases.server()
    server.stop()
    time.sleep(seconds)
    server.start()


def test_an_outage_under_eighty_jobs_loses_none_and_settles_each_once(running: Station) -> None:
    ids = [running.post(slow, 0.05, f"outage {n}") for n in range(80)]
    running.wait(lambda: "start outage 10" in running.journal())
    away(running)
    rows = running.wait_ended(ids, timeout=60)
    assert {row["state"] for row in rows} == {"succeeded"}
    starts = [line for line in running.journal() if line.startswith("start outage")]
    assert len(set(starts)) == 80
    assert len(starts) == 80, "a job ran twice although its worker lived"
    marks = ", ".join(["%s"] * 80)
    query = (
        f"SELECT count(*) AS n FROM django_celery_results_taskresult WHERE status = 'SUCCESS' AND task_id IN ({marks})"
    )
    assert running.sql(query, *ids)[0]["n"] == 80


def test_a_job_that_ends_during_the_outage_is_settled_after_it(running: Station) -> None:
    id = running.post(slow, 1, "settled late")
    running.wait_state(id, "running")
    away(running)
    row = running.wait_state(id, "succeeded")
    assert row["attempt"] == 1
    assert running.journal().count("start settled late") == 1


def test_a_message_that_arrives_during_the_outage_is_not_acknowledged_away(running: Station) -> None:
    running.get(running.post(add, 1, 1))
    holding = [running.post(slow, 1.0, f"holding {n}") for n in range(2)]
    behind = [running.post(note, f"behind {n}") for n in range(4)]
    running.wait(lambda: "start holding 1" in running.journal())
    away(running)
    rows = running.wait_ended([*holding, *behind])
    assert {row["state"] for row in rows} == {"succeeded"}
    assert sorted(line for line in running.journal() if line.startswith("behind")) == [f"behind {n}" for n in range(4)]


def test_a_caller_is_told_when_nothing_can_be_accepted(running: Station) -> None:
    running.databases.server().stop()
    with pytest.raises(RemoteError) as raised:
        running.post(note, "not accepted")
    assert raised.value.name in ("OperationalError", "InterfaceError")
    running.databases.server().start()
    running.wait_state(running.post(note, "accepted"), "succeeded")
    assert "not accepted" not in running.journal()


def test_beat_goes_on_after_the_outage(running: Station) -> None:
    id = running.post(note, "due in the outage", countdown=2)
    away(running)
    running.wait_state(id, "succeeded")
