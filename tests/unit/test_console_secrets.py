"""What a person without the right to payloads can't get at, and what odd input is answered with."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from dlq.models import DeadLetter
from jobs.models import Job
from jobs.states import State
from jobs.tasks.send_email import send_email
from tests.support.deaths import dead, die, posted
from tests.support.people import browser

pytestmark = pytest.mark.django_db

UNREADABLE = '[[{"__type__": "uuid", "__value__": 5}], {}, {}]'
HIDDEN = [
    ("jobs_job", "body__contains"),
    ("dlq_deadletter", "body__regex"),
    ("django_celery_results_taskresult", "result__contains"),
    ("django_celery_beat_periodictask", "kwargs__contains"),
]


@pytest.fixture
def secretive() -> Iterator[Any]:
    """send_email with a secret body."""
    task = current_app.tasks["send_email"]
    task.secrets = ("body",)
    yield task
    del task.secrets


def status(client: Client, page: str, **query: Any) -> int:
    return int(client.get(reverse(f"admin:{page}_changelist"), query).status_code)


def page_of(client: Client, page: str, pk: Any) -> str:
    answer = client.get(reverse(f"admin:{page}_change", args=[pk]))
    assert answer.status_code == 200
    return str(answer.content.decode())


def press(client: Client, page: str, action: str, pk: Any, **more: Any) -> str:
    data = {"action": action, ACTION_CHECKBOX_NAME: str(pk), **more}
    answer = client.post(reverse(f"admin:{page}_changelist"), data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


# --- what the URL asks ------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "lookup"), HIDDEN)
def test_a_list_answers_no_question_about_what_it_hides(page: str, lookup: str) -> None:
    assert status(browser("view"), page, **{lookup: "hunt"}) == 400


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("jobs_job", {"state": "queued", "queue": "default", "task": "send_email", "q": "x", "p": "1"}),
        ("dlq_deadletter", {"status": "all", "reason": "exhausted"}),
        ("django_celery_results_taskresult", {"status": "SUCCESS"}),
        ("django_celery_beat_periodictask", {"state": "late", "q": "x", "p": "1"}),
        ("jobs_activity", {"kind": "job"}),
    ],
)
def test_a_list_answers_its_own_filters(page: str, query: dict[str, str]) -> None:
    assert status(browser("view"), page, **query) == 200


def test_a_nul_in_the_url_is_a_wrong_question() -> None:
    viewer = browser("view")
    assert status(viewer, "jobs_job", state="a\x00b") == 400
    assert viewer.get("/admin/jobs/job/a%00b/change/").status_code == 302


# --- secrets ----------------------------------------------------------------------------------------


def test_a_schedule_shows_its_secret_arguments_to_the_admin_only(secretive: Any) -> None:
    every, _ = IntervalSchedule.objects.get_or_create(every=300, period="seconds")
    said = json.dumps({"to": "a@example.com", "subject": "s", "body": "hunter22"})
    row = PeriodicTask.objects.create(name="nightly", task="send_email", interval=every, kwargs=said)
    for role in ("view", "operate"):
        html = page_of(browser(role), "django_celery_beat_periodictask", row.pk)
        assert "hunter22" not in html
        assert "a@example.com" in html
    assert "hunter22" in page_of(browser("admin"), "django_celery_beat_periodictask", row.pk)


def test_a_note_of_progress_is_redacted(secretive: Any) -> None:
    job_id = posted("a@example.com", "s", "hunter22", task=secretive)
    Job.objects.filter(pk=job_id).update(progress=json.dumps({"done": 1, "total": 2, "note": "with hunter22"}))
    html = page_of(browser("view"), "jobs_job", job_id)
    assert "1 of 2 with [redacted]" in html
    assert "hunter22" not in html
    assert "with hunter22" in page_of(browser("admin"), "jobs_job", job_id)


def test_the_cut_through_a_message_leaves_no_half_of_a_secret(secretive: Any) -> None:
    job_id = posted("a@example.com", "s", "hunter22", task=secretive)
    die(job_id, message="x" * 495 + "hunter22")
    assert "hunte" not in page_of(browser("view"), "jobs_job", job_id)


# --- ids of one's own -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["order_40", "order_23/a_2Fb"])
def test_a_job_with_an_id_of_its_own_is_found_by_every_link(name: str) -> None:
    dead("order-1", -1, task_id=name)
    admin = browser("admin")
    listed = admin.get(reverse("admin:jobs_job_changelist")).context["cl"].url_for_result(Job.objects.get())
    html = admin.get(listed).content.decode()
    assert "Attempt 1" in html
    assert 'value="requeue"' in html
    assert 'id="changes"' in html
    assert f'href="{listed}"' in page_of(admin, "dlq_deadletter", DeadLetter.objects.get().pk)
    assert f"Job {name}" in press(admin, "jobs_job", "requeue", name, from_page=name)
    assert Job.objects.get().state == State.QUEUED


def test_changed_arguments_are_taken_for_a_job_with_an_id_of_its_own() -> None:
    dead("order-1", -1, task_id="order_40")
    url = reverse("admin:jobs_job_requeue_changed", args=["order_5F40"])
    browser("admin").post(url, {"args": '["order-1", 12]', "kwargs": "{}"})
    assert Job.objects.filter(requeued_from_id="order_40").exists()


# --- what can't be read -----------------------------------------------------------------------------


@pytest.fixture
def undecodable() -> str:
    """A dead job, and its letter, that can't be decoded."""
    job_id = dead()
    Job.objects.update(body=UNREADABLE)
    DeadLetter.objects.update(body=UNREADABLE)
    return job_id


@pytest.mark.parametrize("role", ["view", "operate", "admin"])
def test_what_cant_be_decoded_has_a_page_that_offers_no_requeue(undecodable: str, role: str) -> None:
    person = browser(role)
    for page, pk in (("jobs_job", undecodable), ("dlq_deadletter", DeadLetter.objects.get().pk)):
        html = page_of(person, page, pk)
        assert "Undecodable" in html
        assert 'value="requeue"' not in html
        assert 'id="changes"' not in html


def test_what_cant_be_decoded_shows_no_error_of_a_task_with_secrets(undecodable: str, secretive: Any) -> None:
    Job.objects.update(task="send_email", message="refused: hunter22")
    assert "hunter22" not in page_of(browser("view"), "jobs_job", undecodable)


@pytest.mark.parametrize("page", ["jobs_job", "dlq_deadletter"])
def test_what_cant_be_decoded_is_refused_with_a_sentence(undecodable: str, page: str) -> None:
    pk = undecodable if page == "jobs_job" else DeadLetter.objects.get().pk
    admin = browser("admin")
    assert "be decoded, so that it can" in press(admin, page, "requeue", pk)
    url = reverse(f"admin:{page}_requeue_changed", args=[pk])
    answer = admin.post(url, {"args": "[]", "kwargs": "{}"}, follow=True)
    assert "be decoded, so that it can" in answer.content.decode()
    assert Job.objects.get().state == State.DEAD


# --- odd input --------------------------------------------------------------------------------------


def test_typed_arguments_that_cant_be_decoded_are_named() -> None:
    url = reverse("admin:jobs_job_requeue_changed", args=[dead()])
    typed = '{"x": {"__type__": "uuid", "__value__": 5}}'
    answer = browser("admin").post(url, {"args": "[]", "kwargs": typed})
    assert "This is not JSON" in answer.content.decode()


@pytest.mark.parametrize("key", ["abc", str(2**70)])
def test_a_key_that_no_row_can_have_is_refused_with_a_sentence(key: str) -> None:
    assert f"No row has the key &#x27;{key}&#x27;" in press(browser("admin"), "dlq_deadletter", "requeue", key)


def test_a_page_with_a_line_break_to_go_back_to_leads_somewhere() -> None:
    job_id = posted("a@example.com", "s", "b", task=send_email)
    press(browser("admin"), "jobs_job", "requeue", job_id, from_page="a\nb")
