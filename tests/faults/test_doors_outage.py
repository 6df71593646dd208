"""A PostgreSQL that is gone: every door says so in words, and accepts nothing that it can't keep."""

import pytest

from tests.plain_tasks import journaled
from tests.support.outages import stopped
from tests.support.pressing import Person
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

WORDS = "The database does not answer, or another process keeps it busy. Nothing was accepted; try again."


def test_a_database_that_is_gone_is_a_503_or_one_line(fresh_station: Station) -> None:
    station = fresh_station
    station.web()
    token, person = station.token(), Person(station)
    waiting = station.post(journaled, countdown=3600)
    with stopped(station):
        for path in ("/tasks/tests.plain_tasks.journaled", f"/tasks/{waiting}/revoke"):
            answer = station.http("POST", path, {}, token=token)
            assert (answer.status_code, answer.json()["detail"]) == (503, WORDS)
        page = person.press("cancel", waiting)
        assert (page.status_code, WORDS in page.text) == (503, True)
        for command in (["enqueue", "tests.plain_tasks.journaled"], ["jobs", "cancel", waiting], ["jobs", "list"]):
            done = station.manage(*command, check=False)
            assert (done.returncode, done.stderr) == (1, f"CommandError: {WORDS}\n")
    assert [row["id"] for row in station.sql("SELECT id FROM jobs_job")] == [waiting]
    assert station.http("POST", f"/tasks/{waiting}/revoke", {}, token=token).status_code == 200
