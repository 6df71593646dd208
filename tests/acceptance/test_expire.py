"""A job that is too late to run ends expired, without running."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.plain_tasks import flaky, note, slow
from tests.support import calls, people
from tests.support.console import RemoteError
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat and one worker for one job at a time; nobody works on the queue `heavy`."""
    station.worker("default", concurrency=1)
    station.beat()
    return station


def test_a_job_nobody_starts_expires_at_its_time(running: Station) -> None:
    id = running.post(note, "too late", queue="heavy", expires=0.5)
    assert running.job(id)["state"] == "queued"
    row = running.wait_state(id, "expired", timeout=10)
    assert str(row["finished_at"]) >= str(row["expires_at"])
    assert running.call(calls.status, id) == "REVOKED"
    with pytest.raises(RemoteError) as raised:
        running.get(id, 5)
    assert raised.value.name == "TaskRevokedError"
    assert running.letters(id) == []


def test_an_expired_job_is_not_run_by_a_worker_that_comes_later(running: Station) -> None:
    id = running.post(note, "came too late", queue="heavy", expires=datetime.now(UTC) + timedelta(seconds=0.5))
    running.wait_state(id, "expired")
    running.worker("heavy", concurrency=1)
    running.wait_state(running.post(note, "in time", queue="heavy", expires=60), "succeeded")
    assert "came too late" not in running.journal()


def test_a_scheduled_job_can_expire_before_its_time(running: Station) -> None:
    id = running.post(note, "never due", countdown=3600, expires=0.3)
    running.wait_state(id, "expired")


def test_a_retry_can_expire(running: Station) -> None:
    id = running.post(flaky, "given up", 2, 3600, expires=2)
    running.wait_state(id, "retrying")
    running.wait_state(id, "expired")


def test_a_running_job_does_not_expire(running: Station) -> None:
    id = running.post(slow, 2, "long", expires=1.5)
    running.wait_state(id, "running")
    running.wait_state(id, "succeeded")


def test_a_requeued_job_has_no_expiry_left(running: Station) -> None:
    id = running.post(note, "second chance", queue="emails", expires=0.2)
    running.wait_state(id, "expired")
    running.call(people.requeue, id)
    assert running.job(id)["expires_at"] is None
    running.worker("emails", concurrency=1)
    running.wait_state(id, "succeeded")


def test_without_beat_the_claim_expires_a_late_job(fresh_station: Station) -> None:
    id = fresh_station.post(note, "late", expires=0.3)
    fresh_station.wait(lambda: fresh_station.job(id)["expires_at"] is not None)
    fresh_station.worker("default", concurrency=1)
    fresh_station.wait_state(id, "expired")
    assert "late" not in fresh_station.journal()
