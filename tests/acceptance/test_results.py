"""What AsyncResult and the result rows say."""

import json

import pytest
from celery.result import AsyncResult
from celery.states import READY_STATES

from tests.plain_tasks import add, echo, fail, flaky, note, slow
from tests.support import calls
from tests.support.console import RemoteError
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat; nobody works on the queue `heavy`."""
    station.worker("default", concurrency=2, name="results")
    station.beat()
    return station


def status_until_ready(id: str) -> list[str]:
    """Every status that was seen, in order."""
    seen: list[str] = []
    while True:
        status = AsyncResult(id).status
        if [status] != seen[-1:]:
            seen.append(status)
        if status in READY_STATES:
            return seen


def test_the_status_goes_from_pending_to_started_to_success(running: Station) -> None:
    id = running.post(slow, 1, countdown=0.7)
    assert running.call(status_until_ready, id) == ["PENDING", "STARTED", "SUCCESS"]


def test_a_waiting_retry_is_said(running: Station) -> None:
    id = running.post(flaky, "status", 1, 1.5)
    seen = running.call(status_until_ready, id)
    assert [status for status in seen if status not in ("PENDING", "STARTED")] == ["RETRY", "SUCCESS"]


def test_a_success_says_all_of_itself(running: Station) -> None:
    id = running.post(add, 2, 2)
    running.get(id)
    assert running.call(calls.facts, id) == {
        "status": "SUCCESS",
        "ready": True,
        "successful": True,
        "failed": False,
        "result": 4,
        "traceback": None,
    }


def test_a_failure_says_its_error_and_traceback(running: Station) -> None:
    id = running.post(fail, "no such pump")
    running.wait_state(id, "dead")
    facts = running.call(calls.facts, id)
    assert (facts["status"], facts["failed"], facts["successful"]) == ("FAILURE", True, False)
    assert facts["result"] == "ValueError: no such pump"
    assert "no such pump" in facts["traceback"]
    with pytest.raises(RemoteError) as raised:
        running.get(id)
    assert raised.value.name == "ValueError"


def test_waiting_ends_after_the_timeout(running: Station) -> None:
    id = running.post(add, 1, 1, queue="heavy")
    with pytest.raises(RemoteError) as raised:
        running.get(id, 0.3)
    assert raised.value.name == "TimeoutError"
    assert running.call(calls.facts, id)["status"] == "PENDING"


def forget(id: str) -> None:
    AsyncResult(id).forget()


def test_a_forgotten_result_is_gone_and_its_job_is_not(running: Station) -> None:
    id = running.post(add, 1, 1)
    running.get(id)
    running.call(forget, id)
    assert running.result(id).get("result") in (None, "null", "")
    assert running.job(id)["state"] == "succeeded"


def test_a_result_row_says_name_arguments_worker_and_times(running: Station) -> None:
    args, kwargs = [1, "zwei", {"drei": [None, True]}], {"vier": 4.5}
    id = running.post(echo, *args, kwargs=kwargs)
    running.get(id)
    row = running.result(id)
    assert row["task_name"] == "tests.plain_tasks.echo"
    assert row["worker"].startswith("results@")
    assert unwrapped(row["task_args"]) == args
    assert unwrapped(row["task_kwargs"]) == kwargs
    assert None not in (row["date_created"], row["date_started"], row["date_done"])
    assert (row["status"], row["content_type"], row["content_encoding"]) == ("SUCCESS", "application/json", "utf-8")


def unwrapped(text: str) -> object:
    """The value of a JSON text; django-celery-results may wrap the text in JSON once more."""
    value = json.loads(text)
    return json.loads(value) if isinstance(value, str) else value


def test_a_nul_in_a_result_is_kept(running: Station) -> None:
    id = running.post(note, "a \x00 b")
    assert running.get(id) == "a \x00 b"
