"""Following, listing, revoking and requeueing jobs over HTTP."""

import base64
import json
import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_results.models import TaskResult

from jobs import lifecycle, operations
from jobs.api.tasks import waiters
from jobs.models import Activity, Job
from tests.support.api import ApiCaller, places, refused
from tests.support.lives import cancelled, dead, job, queued, running, succeeded

pytestmark = pytest.mark.django_db

PROMISED = {
    "task_id",
    "task",
    "status",
    "state",
    "hold",
    "queue",
    "args",
    "kwargs",
    "attempt",
    "max_attempts",
    "created_at",
    "run_at",
    "started_at",
    "finished_at",
    "worker",
    "progress",
}


def cursor_of(*place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


@pytest.fixture
def api() -> ApiCaller:
    return ApiCaller("admin")


def follow(api, id_, **query):
    answer = api.get(f"/tasks/{id_}", **query)
    assert answer.status_code == 200, answer.content
    assert answer.json().keys() >= PROMISED
    return answer.json()


# --- one job ---


def test_a_queued_job_is_pending(api):
    seen = follow(api, queued())
    assert (seen["status"], seen["state"], seen["hold"], seen["result"]) == ("PENDING", "queued", None, None)
    assert (seen["args"], seen["kwargs"], seen["attempt"]) == ([1, 2], {}, 0)


def test_a_job_of_a_paused_queue_says_what_holds_it(api):
    operations.pause("default", by="tests")
    assert follow(api, queued())["hold"] == "paused"


def test_a_running_job_shows_its_worker_and_progress(api):
    id_, token = running()
    lifecycle.report_progress(id_, token, '{"done": 1, "total": 2, "note": "half"}', using="default")
    seen = follow(api, id_)
    assert (seen["status"], seen["state"], seen["worker"], seen["attempt"]) == ("STARTED", "running", "w@here", 1)
    assert seen["progress"] == {"done": 1, "total": 2, "note": "half"}


def test_progress_told_in_celerys_way_is_shown_while_the_job_runs(api):
    id_, _ = running()
    TaskResult.objects.create(task_id=id_, status="PROGRESS", result='{"done": 3}')
    assert follow(api, id_)["progress"] == {"done": 3}


def test_a_succeeded_job_shows_its_result(api):
    seen = follow(api, succeeded(value={"sum": 3}))
    assert (seen["status"], seen["state"], seen["result"]) == ("SUCCESS", "succeeded", {"sum": 3})
    assert "result_expired" not in seen
    assert seen["finished_at"]


def test_a_result_past_its_time_is_null_and_says_so(api):
    id_ = succeeded()
    TaskResult.objects.all().delete()
    seen = follow(api, id_)
    assert (seen["result"], seen["result_expired"]) == (None, True)


def test_a_result_that_json_cannot_say_is_null(api):
    assert follow(api, succeeded(value=[float("nan"), 1]))["result"] == [None, 1]


def test_a_dead_job_shows_error_and_traceback_instead_of_a_result(api):
    seen = follow(api, dead(message="no luck"))
    assert (seen["status"], seen["state"], seen["error"]) == ("FAILURE", "dead", "ValueError: no luck")
    assert seen["traceback"].startswith("Traceback")
    assert "result" not in seen


def test_a_cancelled_job_is_revoked(api):
    seen = follow(api, cancelled())
    assert (seen["status"], seen["state"]) == ("REVOKED", "cancelled")
    assert seen["error"]
    assert "result" not in seen


def test_an_id_of_any_form_is_followed(api):
    queued(task_id="order/47 11?")
    assert follow(api, "order/47%2011%3F")["task_id"] == "order/47 11?"


def test_an_unknown_job_is_not_found(api):
    refused(api.get("/tasks/nothing"), 404)


def test_a_canvas_step_that_never_ran_is_answered_from_its_result(api):
    value = '{"exc_type": "ValueError", "exc_message": ["no"], "exc_module": "builtins"}'
    TaskResult.objects.create(task_id="step", task_name="add", status="FAILURE", result=value, traceback="T")
    seen = follow(api, "step")
    assert (seen["state"], seen["status"], seen["error"], seen["traceback"]) == (
        "dead",
        "FAILURE",
        "ValueError: no",
        "T",
    )
    hidden = follow(ApiCaller("view"), "step")
    assert (hidden["error"], hidden["traceback"]) == ("ValueError", None)


# --- waiting ---


@pytest.mark.parametrize("wait", ["31", "-1", "soon", "nan"])
def test_a_wait_that_is_not_possible_is_refused(api, wait):
    assert places(refused(api.get("/tasks/x", wait=wait), 422)) == [["query", "wait"]]


def test_a_wait_for_an_ended_job_is_over_at_once(api):
    start = time.monotonic()
    follow(api, succeeded(), wait=30)
    assert time.monotonic() - start < 5


def test_who_finds_no_place_to_wait_is_answered_at_once(api):
    taken = 0
    while waiters.acquire(blocking=False):
        taken += 1
    began = time.monotonic()
    try:
        assert follow(api, queued(), wait=5)["state"] == "queued"
    finally:
        waiters.release(taken)
    assert 0 < taken < 16
    assert time.monotonic() - began < 3


def test_a_place_to_wait_is_given_back(api):
    for id_ in ("nothing", succeeded(), queued()):
        api.get(f"/tasks/{id_}", wait=0.1)
    with pytest.raises(ValueError, match="released too many"):
        waiters.release()


def test_a_waiter_reads_the_whole_job_once(api):
    id_ = queued()
    with CaptureQueriesContext(connection) as asked:
        follow(api, id_, wait=0.3)
    looks = [query["sql"] for query in asked if id_ in query["sql"]]
    assert len([sql for sql in looks if "body" in sql]) == 1 < len(looks)


def test_a_wait_ends_with_its_time(api):
    start = time.monotonic()
    assert follow(api, queued(), wait=0.3)["state"] == "queued"
    assert time.monotonic() - start >= 0.3


@pytest.mark.django_db(transaction=True)
def test_a_wait_is_over_when_the_job_ends(api):
    id_ = queued()

    def cancel_soon():
        time.sleep(0.5)
        operations.revoke([id_], by="tests")
        connection.close()

    other = threading.Thread(target=cancel_soon)
    start = time.monotonic()
    other.start()
    assert follow(api, id_, wait=20)["state"] == "cancelled"
    assert time.monotonic() - start < 10
    other.join()


# --- lists ---


def test_jobs_are_listed_newest_first_in_pages(api):
    ids = [queued() for _ in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        answer = api.get("/tasks", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [item["task_id"] for item in answer["items"]]
        cursor = answer["next"]
    assert seen == ids[::-1]
    assert cursor is None


def test_a_page_goes_on_where_the_last_one_ended_although_jobs_came_in(api):
    old = [queued(), queued()]
    first = api.get("/tasks", limit=1).json()
    queued()
    assert api.get("/tasks", limit=1, cursor=first["next"]).json()["items"][0]["task_id"] == old[0]


@pytest.mark.parametrize(
    "query",
    [
        {"state": "dead"},
        {"task": "tests.plain_tasks.fail"},
        {"queue": "heavy"},
        {"tag": "blue"},
        {"since": "2020-01-01T00:00:00Z", "tag": "blue"},
    ],
)
def test_a_filter_finds_only_what_it_says(api, query):
    wanted = dead("tests.plain_tasks.fail", "x", queue="heavy", tags=["blue", "red"])
    queued()
    assert [item["task_id"] for item in api.get("/tasks", **query).json()["items"]] == [wanted]


def test_times_bound_a_list(api):
    queued()
    assert api.get("/tasks", until="2020-01-01T00:00:00Z").json()["items"] == []
    assert api.get("/tasks", since="2090-01-01T00:00:00Z").json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"state": "lost"},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "WzEsMl0"},
        {"cursor": "\xe9"},
        {"cursor": cursor_of("2026-01-01T00:00:00+00:00", "\ud800")},
        {"cursor": cursor_of("2026-01-01T00:00:00+00:00", "\0")},
        {"cursor": cursor_of("0001-01-01T00:00:00+14:00", "x")},
        {"cursor": cursor_of("9999-12-31T23:59:59-14:00", "x")},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00"},
        {"stat": "dead"},
    ],
)
def test_a_list_that_cannot_be_asked_for_is_refused(api, query):
    refused(api.get("/tasks", **query), 422)


# --- revoke ---


def test_a_waiting_job_is_revoked_with_the_reason_recorded(api):
    id_ = queued()
    answer = api.post(f"/tasks/{id_}/revoke", {"reason": "not needed"})
    assert (answer.status_code, answer.json()["task_id"], answer.json()["action"]) == (200, id_, "revoked")
    assert job(id_).state == "cancelled"
    written = Activity.objects.get(action="revoke")
    assert (written.by, written.key, written.reason) == ("token admin caller", id_, "not needed")


def test_a_running_job_runs_on_and_shows_that_its_cancel_was_requested(api):
    id_, _ = running()
    assert api.post(f"/tasks/{id_}/revoke").json()["cancel_requested"] is True
    assert follow(api, id_)["state"] == "running"
    assert follow(api, id_)["cancel_requested"] is True


def test_an_ended_job_cannot_be_revoked(api):
    refused(api.post(f"/tasks/{succeeded()}/revoke", {}), 409)


def test_a_second_revoke_is_refused(api):
    id_ = queued()
    api.post(f"/tasks/{id_}/revoke")
    refused(api.post(f"/tasks/{id_}/revoke"), 409)


def test_an_unknown_job_cannot_be_revoked(api):
    refused(api.post("/tasks/nothing/revoke", {}), 404)


@pytest.mark.parametrize("body", [{"terminate": "yes"}, {"reason": 5}, {"reason": "x" * 501}, {"why": "x"}])
def test_a_revoke_that_does_not_fit_is_refused(api, body):
    refused(api.post(f"/tasks/{queued()}/revoke", body), 422)


# --- requeue ---


@pytest.mark.parametrize("make", [dead, cancelled])
def test_an_ended_job_is_requeued_under_its_id(api, make):
    id_ = make()
    answer = api.post(f"/tasks/{id_}/requeue", {"reason": "mended"})
    assert (answer.status_code, answer.json()) == (202, {"task_id": id_, "status": "queued"})
    assert job(id_).state == "queued"


def test_a_second_requeue_is_refused(api):
    id_ = dead()
    api.post(f"/tasks/{id_}/requeue")
    refused(api.post(f"/tasks/{id_}/requeue"), 409)


@pytest.mark.parametrize("make", [queued, succeeded])
def test_only_a_job_that_ended_badly_is_requeued(api, make):
    id_ = make()
    refused(api.post(f"/tasks/{id_}/requeue"), 409)
    refused(api.post(f"/tasks/{id_}/requeue", {"args": [1, 2]}), 409)


def test_an_unknown_job_cannot_be_requeued(api):
    refused(api.post("/tasks/nothing/requeue"), 404)
    refused(api.post("/tasks/nothing/requeue", {"args": []}), 404)


def test_a_changed_requeue_is_a_new_linked_job(api):
    old = dead()
    new = api.post(f"/tasks/{old}/requeue", {"args": [3, 4]}).json()["task_id"]
    assert new != old
    assert (follow(api, new)["args"], follow(api, new)["requeued_from"]) == ([3, 4], old)


def test_a_changed_requeue_must_fit_the_signature(api):
    old = dead()
    assert places(refused(api.post(f"/tasks/{old}/requeue", {"args": [1]}), 422)) == [["body", "kwargs", "y"]]
    assert Job.objects.count() == 1


def test_a_changed_requeue_has_the_same_size_limit(api):
    body = {"kwargs": {"x": "x" * 70_000}, "args": []}
    refused(api.post(f"/tasks/{dead('tests.plain_tasks.echo')}/requeue", body), 422)


def test_a_requeue_is_replayed_for_the_same_key(api):
    id_ = dead()
    first = api.post(f"/tasks/{id_}/requeue", {"args": [3, 4]}, Idempotency_Key="k")
    again = api.post(f"/tasks/{id_}/requeue", {"args": [3, 4]}, Idempotency_Key="k")
    assert (again.status_code, again.json()) == (200, first.json())
