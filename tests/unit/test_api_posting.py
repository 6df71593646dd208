"""Posting jobs over HTTP."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs.messages import arguments
from jobs.models import Job, Replay
from tests.support.api import ApiCaller, places, refused
from tests.support.lives import job, succeeded

pytestmark = pytest.mark.django_db

ADD = "/tasks/tests.plain_tasks.add"
TWO = {"kwargs": {"x": 1, "y": 2}}


@pytest.fixture
def api() -> ApiCaller:
    return ApiCaller("operate")


def accepted(answer) -> Job:
    assert answer.status_code == 202, answer.content
    assert answer.json()["status"] == "queued"
    return job(answer.json()["task_id"])


def test_an_email_is_accepted_for_the_queue_of_emails(api):
    made = accepted(api.post("/tasks/email", {"to": "a@example.com", "subject": "Hi", "body": "Text"}))
    assert (made.task, made.queue) == ("send_email", "emails")
    assert arguments(made.body) == ([], {"to": "a@example.com", "subject": "Hi", "body": "Text"})


def test_an_image_is_accepted_with_operations_by_name_and_with_options(api):
    operations = ["resize", {"op": "compress", "quality": 70}]
    made = accepted(api.post("/tasks/process-image", {"path": "/uploads/photo.jpg", "operations": operations}))
    assert (made.task, made.queue) == ("process_image", "heavy")
    assert arguments(made.body)[1] == {"image_path": "/uploads/photo.jpg", "operations": operations}


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/tasks/email", {"to": "a@b.c", "subject": "s"}, ["body", "body"]),
        ("/tasks/email", {"to": 5, "subject": "s", "body": "b"}, ["body", "to"]),
        ("/tasks/email", {"to": "a", "subject": "s", "body": "b", "cc": "x"}, ["body", "cc"]),
        ("/tasks/process-image", {"path": "x"}, ["body", "operations"]),
        ("/tasks/process-image", {"path": "x", "operations": "resize"}, ["body", "operations"]),
        (ADD, {"kwargs": {"x": 1}}, ["body", "kwargs", "y"]),
        (ADD, {"kwargs": {"x": 1, "y": "2"}}, ["body", "kwargs", "y"]),
        (ADD, {"kwargs": {"x": 1, "y": 2, "z": 3}}, ["body", "kwargs", "z"]),
        (ADD, {"args": [1, 2, 3]}, ["body", "args", 2]),
        (ADD, {"args": {"x": 1}}, ["body", "args"]),
        (ADD, {"kwargs": [1]}, ["body", "kwargs"]),
        (ADD, {**TWO, "queue": "nowhere"}, ["body", "queue"]),
        (ADD, {**TWO, "queue": 5}, ["body", "queue"]),
        (ADD, {**TWO, "priority": 10}, ["body", "priority"]),
        (ADD, {**TWO, "priority": "9"}, ["body", "priority"]),
        (ADD, {**TWO, "delay": -1}, ["body", "delay"]),
        (ADD, {**TWO, "delay": "5"}, ["body", "delay"]),
        (ADD, {**TWO, "delay": 1e300}, ["body", "delay"]),
        (ADD, {**TWO, "expires": 0}, ["body", "expires"]),
        (ADD, {**TWO, "run_at": "tomorrow"}, ["body", "run_at"]),
        (ADD, {**TWO, "run_at": "2026-01-01T00:00:00"}, ["body", "run_at"]),
        (ADD, {**TWO, "run_at": 5}, ["body", "run_at"]),
        (ADD, {**TWO, "run_at": "9999-12-31T23:59:59-12:00"}, ["body", "run_at"]),
        (ADD, {**TWO, "delay": 5, "run_at": "2027-01-01T00:00:00Z"}, ["body"]),
        (ADD, {**TWO, "unique_key": ""}, ["body", "unique_key"]),
        (ADD, {**TWO, "unique_key": "a\0b"}, ["body", "unique_key"]),
        (ADD, {**TWO, "unique_key": "\ud800"}, ["body", "unique_key"]),
        (ADD, {**TWO, "tags": ["x"] * 11}, ["body", "tags"]),
        (ADD, {**TWO, "tags": ["x" * 51]}, ["body", "tags", 0]),
        (ADD, {**TWO, "surprise": 1}, ["body", "surprise"]),
        (ADD, [1], ["body"]),
        (ADD, "text", ["body"]),
        (ADD, None, ["body", "kwargs", "x"]),
        ("/tasks", {"jobs": [{"task": "x"} for _ in range(10_001)]}, ["body", "jobs"]),
        ("/tasks", {"jobs": {}}, ["body", "jobs"]),
        ("/tasks", {"jobs": [{"kwargs": {}}]}, ["body", "jobs", 0, "task"]),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(api, path, body, place):
    assert place in places(refused(api.post(path, body), 422))
    assert not Job.objects.exists()


def test_an_unknown_operation_is_refused_at_its_place_in_the_body(api):
    problem = refused(api.post("/tasks/process-image", {"path": "a.jpg", "operations": ["resize", "explode"]}), 422)
    assert all(place[:3] == ["body", "operations", 1] for place in places(problem))


@pytest.mark.parametrize("name", ["celery.map", "celery.backend_cleanup", "chord"])
def test_a_task_of_celery_itself_is_not_found(api, name):
    assert name in refused(api.post(f"/tasks/{name}", {}), 404)["detail"]
    assert not Job.objects.exists()


def test_an_unknown_task_is_not_found(api):
    assert "no.such" in refused(api.post("/tasks/no.such", {}), 404)["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"NaN",
        b'{"kwargs": {"x": NaN, "y": 1}}',
        b'{"args": [1e999, 2]}',
        b'{"args": [-1e999, 2]}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_a_bad_request(api, body):
    refused(api.post(ADD, body), 400)


def test_the_options_are_kept(api):
    made = accepted(
        api.post(
            ADD,
            {
                "args": [1],
                "kwargs": {"y": 2},
                "queue": "heavy",
                "priority": 7,
                "delay": 60,
                "expires": 120,
                "unique_key": "k",
                "tags": ["a", "b"],
            },
        )
    )
    assert (made.state, made.queue, made.priority, made.unique_key) == ("scheduled", "heavy", 7, "k")
    assert sorted(made.tags.values_list("tag", flat=True)) == ["a", "b"]
    assert made.run_at
    assert made.expires_at
    assert timedelta(seconds=55) < made.run_at - timezone.now() <= timedelta(seconds=60)
    assert timedelta(seconds=115) < made.expires_at - timezone.now() <= timedelta(seconds=120)


def test_a_time_with_a_zone_is_kept_exactly(api):
    made = accepted(api.post(ADD, {**TWO, "run_at": "2090-03-01T09:00:00+02:00"}))
    assert made.run_at.isoformat() == "2090-03-01T07:00:00+00:00"


def test_arguments_over_64_kib_are_refused_with_advice(api):
    problem = refused(api.post("/tasks/email", {"to": "a@b.c", "subject": "s", "body": "x" * 70_000}), 422)
    assert "pass its key" in problem["detail"]


def test_a_body_without_a_length_is_refused_not_read_as_empty(api):
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "HTTP_AUTHORIZATION": api.headers["Authorization"]}
    refused(Client().generic("POST", ADD, b"", content_type="application/json", **environ), 411)


def test_a_body_over_its_limit_is_too_large(api):
    refused(api.post(ADD, b'"' + b"x" * (1024 * 1024) + b'"'), 413)
    refused(api.post("/tasks", b'"' + b"x" * (16 * 1024 * 1024) + b'"'), 413)


def test_many_jobs_may_be_larger_than_one(api):
    jobs = [{"task": "send_email", "kwargs": {"to": "a@b.c", "subject": "s", "body": "x" * 60_000}}] * 20
    assert api.post("/tasks", {"jobs": jobs}).status_code == 202


# --- many ---


def test_many_jobs_are_accepted_in_order(api):
    jobs = [{"task": "tests.plain_tasks.add", "args": [n, n]} for n in range(1200)]
    answer = api.post("/tasks", {"jobs": jobs})
    assert answer.status_code == 202
    ids = answer.json()["task_ids"]
    made = Job.objects.in_bulk(ids)
    assert [arguments(made[id_].body)[0][0] for id_ in ids] == list(range(1200))


def test_one_bad_job_refuses_them_all(api):
    good = {"task": "tests.plain_tasks.add", "args": [1, 2]}
    bad = [{"task": "no.such"}, {**good, "queue": "nowhere"}, {**good, "args": [1]}]
    problem = refused(api.post("/tasks", {"jobs": [good, *bad]}), 422)
    assert places(problem) == [
        ["body", "jobs", 1, "task"],
        ["body", "jobs", 2, "queue"],
        ["body", "jobs", 3, "kwargs", "y"],
    ]
    assert not Job.objects.exists()


def test_no_jobs_are_a_list_of_no_ids(api):
    assert api.post("/tasks", {"jobs": []}).json() == {"task_ids": []}


# --- unique keys ---


def test_a_live_job_with_the_unique_key_is_answered_instead(api):
    first = accepted(api.post(ADD, {**TWO, "unique_key": "k"}))
    again = api.post(ADD, {**TWO, "unique_key": "k"})
    assert (again.status_code, again["Unique-Replay"]) == (200, "true")
    assert again.json()["task_id"] == first.id
    assert Job.objects.count() == 1


def test_the_unique_key_of_an_ended_job_is_free(api):
    ended = succeeded(unique_key="k")
    assert accepted(api.post(ADD, {**TWO, "unique_key": "k"})).id != ended


def test_the_same_unique_key_twice_in_one_batch_is_one_job(api):
    one = {"task": "tests.plain_tasks.add", "args": [1, 2], "unique_key": "k"}
    ids = api.post("/tasks", {"jobs": [one, one]}).json()["task_ids"]
    assert ids[0] == ids[1]
    assert Job.objects.count() == 1


# --- Idempotency-Key ---


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ADD, TWO),
        ("/tasks/email", {"to": "a@b.c", "subject": "s", "body": "b"}),
        ("/tasks/process-image", {"path": "a.jpg", "operations": ["resize"]}),
        ("/tasks", {"jobs": [{"task": "tests.plain_tasks.add", "args": [1, 2]}]}),
    ],
)
def test_the_same_key_and_body_get_the_first_answer_again(api, path, body):
    first = api.post(path, body, Idempotency_Key="one")
    again = api.post(path, body, Idempotency_Key="one")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again["Idempotent-Replay"] == "true"
    assert again.json() == first.json()
    assert Job.objects.count() == 1


def test_the_same_key_with_another_body_is_a_conflict(api):
    api.post(ADD, TWO, Idempotency_Key="one")
    refused(api.post(ADD, {"args": [3, 4]}, Idempotency_Key="one"), 409)
    refused(api.post("/tasks/tests.plain_tasks.echo", TWO, Idempotency_Key="one"), 409)
    assert Job.objects.count() == 1


def test_a_refused_post_does_not_use_its_key_up(api):
    refused(api.post(ADD, {}, Idempotency_Key="one"), 422)
    accepted(api.post(ADD, TWO, Idempotency_Key="one"))


def test_another_caller_may_use_the_same_key(api):
    accepted(api.post(ADD, TWO, Idempotency_Key="one"))
    accepted(ApiCaller("admin").post(ADD, TWO, Idempotency_Key="one"))


def test_after_a_day_the_key_is_free_again(api):
    accepted(api.post(ADD, TWO, Idempotency_Key="one"))
    Replay.objects.update(created_at=timezone.now() - timedelta(hours=25))
    accepted(api.post(ADD, TWO, Idempotency_Key="one"))


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(api, key):
    refused(api.post(ADD, TWO, Idempotency_Key=key), 422)
