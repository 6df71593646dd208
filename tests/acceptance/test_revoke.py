"""A job is taken back: from AsyncResult, from the app's control, waiting or running."""

import sys
from typing import Any

import pytest

from tests.plain_tasks import note, slow
from tests.support import calls, people
from tests.support.console import RemoteError
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat; nobody works on the queue `heavy`."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


REVOKES = (calls.revoke, calls.control_revoke)


@pytest.mark.parametrize("revoke", REVOKES, ids=lambda way: way.__name__)
def test_a_waiting_job_is_cancelled_in_the_table(running: Station, revoke: Any) -> None:
    id = running.post(note, f"waiting {revoke.__name__}", queue="heavy")
    running.call(revoke, id)
    assert running.job(id)["state"] == "cancelled"
    assert running.call(calls.status, id) == "REVOKED"


@pytest.mark.parametrize("revoke", REVOKES, ids=lambda way: way.__name__)
def test_a_job_with_a_countdown_is_cancelled_in_the_table(running: Station, revoke: Any) -> None:
    id = running.post(note, "far away", countdown=3600)
    running.call(revoke, id)
    assert running.job(id)["state"] == "cancelled"


def test_many_ids_at_once(running: Station) -> None:
    ids = [running.post(note, "many", queue="heavy") for _ in range(3)]
    running.call(calls.control_revoke, ids)
    assert {row["state"] for row in running.jobs(ids)} == {"cancelled"}


def test_a_cancelled_job_stays_cancelled_over_restarts(running: Station) -> None:
    id = running.post(note, "never again", queue="heavy")
    running.call(calls.revoke, id)
    running.valkey.restart()
    worker = running.worker("heavy", concurrency=1)
    worker.stop()
    running.worker("heavy", concurrency=1)
    running.wait_state(running.post(note, "after it", queue="heavy"), "succeeded")
    assert running.job(id)["state"] == "cancelled"
    assert "never again" not in running.journal()


@pytest.mark.parametrize("revoke", REVOKES, ids=lambda way: way.__name__)
def test_a_running_job_stops_when_terminated(running: Station, revoke: Any) -> None:
    word = f"terminated {revoke.__name__}"
    id = running.post(slow, 30, word)
    running.wait(lambda: f"start {word}" in running.journal())
    running.call(revoke, id, terminate=True)
    running.wait_state(id, "cancelled", timeout=10)
    assert running.call(calls.status, id) == "REVOKED"
    assert f"end {word}" not in running.journal()
    running.wait_state(running.post(note, "the worker lives"), "succeeded")


def test_a_running_job_stops_where_containers_stop_softly(running: Station) -> None:
    """With REMAP_SIGTERM, as compose sets it, a child ignores SIGTERM: it is ended by the worker's own signal."""
    options = ["worker", "-Q", "payments", "-c", "1", "-n", "soft@%h"]
    command = [sys.executable, "-m", "celery", "-A", "config", *options]
    running.start("worker-soft", command, env={"REMAP_SIGTERM": "SIGQUIT"})
    id = running.post(slow, 5, "softly", queue="payments")
    running.wait(lambda: "start softly" in running.journal())
    running.call(calls.control_revoke, id, terminate=True)
    running.wait_state(id, "cancelled")
    after = running.post(slow, 6, "after it", queue="payments")
    running.wait_state(after, "succeeded")
    assert "end softly" not in running.journal()


def test_a_running_job_runs_on_without_terminate(running: Station) -> None:
    id = running.post(slow, 1, "left alone")
    running.wait_state(id, "running")
    running.call(calls.revoke, id)
    row = running.wait_state(id, "running", "succeeded")
    assert row["cancel_requested"]
    running.wait_state(id, "succeeded")
    assert "end left alone" in running.journal()


def test_a_cancelled_job_can_be_requeued_and_runs_on_the_same_worker(running: Station) -> None:
    id = running.post(slow, 30, "second thoughts")
    running.wait(lambda: "start second thoughts" in running.journal())
    running.call(calls.control_revoke, id, terminate=True)
    running.wait_state(id, "cancelled")
    assert running.call(people.requeue, id) == [id]
    running.wait_state(id, "running")
    running.call(calls.control_revoke, id, terminate=True)
    running.wait_state(id, "cancelled")
    assert running.journal().count("start second thoughts") == 2


def test_revoking_an_ended_job_changes_nothing(running: Station) -> None:
    id = running.post(note, "done already")
    running.wait_state(id, "succeeded")
    running.call(calls.revoke, id)
    assert running.job(id)["state"] == "succeeded"
    assert running.get(id) == "done already"


def test_waiting_for_a_revoked_job_raises(running: Station) -> None:
    id = running.post(note, "revoked", queue="payments")
    running.call(calls.revoke, id)
    with pytest.raises(RemoteError) as raised:
        running.get(id, 5)
    assert raised.value.name == "TaskRevokedError"


def test_an_id_nobody_knows_is_revoked_without_an_error(running: Station) -> None:
    running.call(calls.revoke, "nobody-knows-me")
    assert running.job("nobody-knows-me") == {}
