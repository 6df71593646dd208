"""Who may call the API, and what everybody else is told."""

from typing import Any

import pytest
from celery import shared_task
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from jobs.models import Job, Token
from tests.support.api import ApiCaller, refused
from tests.support.lives import cancelled, dead, queued

pytestmark = pytest.mark.django_db

POSTS = [
    ("/tasks/email", {"to": "a@b.c", "subject": "s", "body": "b"}),
    ("/tasks/process-image", {"path": "a.jpg", "operations": ["resize"]}),
    ("/tasks/tests.plain_tasks.add", {"args": [1, 2]}),
    ("/tasks", {"jobs": []}),
    ("/tasks/{job}/revoke", {}),
    ("/tasks/{job}/requeue", {}),
    ("/dead-letters/1/requeue", {}),
    ("/dead-letters/1/discard", {}),
    ("/queues/default/pause", {}),
    ("/queues/default/resume", {}),
]
GETS = ["/tasks", "/tasks/{job}", "/dead-letters", "/queues", "/schedules", "/metrics"]


@shared_task(secrets=("password",))
def sign_in(user: str, password: str) -> None:
    """A task with a secret."""


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer \xe9"])
def test_reading_without_a_valid_token_is_unauthorised(path, header):
    answer = Client().get(path.format(job="x"), headers={"Authorization": header} if header else {})
    refused(answer, 401)
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("path", "body"), POSTS)
def test_posting_without_a_valid_token_is_unauthorised(path, body):
    refused(ApiCaller(None).post(path.format(job="x"), body), 401)
    assert not Job.objects.exists()


@pytest.mark.parametrize(("path", "body"), POSTS)
def test_the_view_scope_may_not_act(path, body):
    job = queued()
    refused(ApiCaller("view").post(path.format(job=job), body), 403)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("path", GETS)
def test_the_view_scope_may_look(path):
    assert ApiCaller("view").get(path.format(job=queued())).status_code == 200


@pytest.mark.parametrize("scope", ["operate", "admin"])
def test_the_higher_scopes_may_look_and_act(scope):
    caller = ApiCaller(scope)
    for path in GETS:
        assert caller.get(path.format(job=queued())).status_code == 200
    for path, body in POSTS:
        answer = caller.post(path.format(job=cancelled()), body)
        assert answer.status_code in (200, 202, 404, 409), (path, answer.content)


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/docs"])
def test_some_pages_are_open(path):
    assert Client().get(path).status_code == 200


def test_a_token_is_kept_as_a_hash_only():
    caller = ApiCaller("view")
    assert caller.headers["Authorization"].split()[1] not in str(Token.objects.values().get())


def test_what_a_scope_may_do_is_what_its_group_may_do():
    Group.objects.get(name="view").permissions.clear()
    refused(ApiCaller("view").get("/tasks"), 403)


# --- sessions ---


def signed_in(*, staff: bool = True, csrf: bool = False) -> Client:
    user = User.objects.create_user("ann", password="x", is_staff=staff, is_superuser=staff)
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def test_a_signed_in_admin_user_may_call():
    assert signed_in().get("/tasks").status_code == 200


def test_a_user_without_access_to_the_admin_may_not():
    refused(signed_in(staff=False).get("/tasks"), 401)


def test_a_session_without_its_csrf_token_may_not_post():
    client = signed_in(csrf=True)
    body: Any = {"content_type": "application/json", "data": '{"args": [1, 2]}'}
    refused(client.post("/tasks/tests.plain_tasks.add", **body), 403)
    client.cookies["csrftoken"] = "a" * 32
    answer = client.post("/tasks/tests.plain_tasks.add", **body, headers={"X-CSRFToken": "a" * 32})
    assert answer.status_code == 202


def test_a_token_needs_no_csrf_token():
    caller = ApiCaller("operate")
    caller.client = Client(enforce_csrf_checks=True)
    assert caller.post("/tasks/tests.plain_tasks.add", {"args": [1, 2]}).status_code == 202


def test_a_bad_token_is_not_mended_by_a_session():
    refused(signed_in().get("/tasks", headers={"Authorization": "Bearer wrong"}), 401)


# --- refusals that no endpoint makes ---


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("delete", "/tasks", "GET, POST"),
        ("put", "/tasks/x", "GET, POST"),
        ("get", "/tasks/x/revoke", "POST"),
        ("post", "/queues", "GET"),
        ("post", "/healthz", "GET"),
        ("patch", "/dead-letters", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method, path, allowed):
    answer = getattr(Client(), method)(path)
    refused(answer, 405)
    assert sorted(answer["Allow"].split(", ")) == allowed.split(", ")


@pytest.mark.parametrize("path", ["/queues/x/y/z", "/schedules/x", "/dead-letters/x/requeue", "/tasks/"])
def test_a_path_that_leads_nowhere_is_a_problem_too(path):
    refused(Client().get(path), 404)


def test_head_is_answered_like_get():
    assert Client().head("/healthz").status_code == 200


def test_a_name_with_a_nul_character_is_not_found():
    refused(ApiCaller("view").get("/tasks/a%00b"), 404)


# --- what may be seen ---


def test_the_payload_of_a_task_with_secrets_is_hidden_below_admin():
    job = dead("tests.unit.test_api_access.sign_in", "ann", "hunter2", message="hunter2 is wrong")
    seen = ApiCaller("operate").get(f"/tasks/{job}").json()
    assert (seen["args"], seen["error"]) == (["ann", "[redacted]"], "ValueError: [redacted] is wrong")
    assert "hunter2" not in str(ApiCaller("view").get("/dead-letters").json())
    assert ApiCaller("admin").get(f"/tasks/{job}").json()["args"] == ["ann", "hunter2"]


def test_the_operate_scope_sees_payloads_when_its_group_is_granted_it():
    Group.objects.get(name="operate").permissions.add(Permission.objects.get(codename="view_payload"))
    job = dead("tests.unit.test_api_access.sign_in", "ann", "hunter2")
    assert ApiCaller("operate").get(f"/tasks/{job}").json()["args"] == ["ann", "hunter2"]
