"""Who may press what: by every action of every page, as view, operate and admin."""

from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from dlq.models import DeadLetter
from jobs.lifecycle import set_limits
from jobs.models import Activity, Job, Queue, Token
from jobs.states import State
from tests.support.deaths import dead, posted
from tests.support.people import browser

pytestmark = pytest.mark.django_db

JOB, LETTER, QUEUE = "jobs_job", "dlq_deadletter", "jobs_queue"
SCHEDULE, TOKEN = "django_celery_beat_periodictask", "jobs_token"
#: (page, action, who may press it)
ACTIONS = [
    (JOB, "requeue", ("operate", "admin")),
    (JOB, "cancel", ("operate", "admin")),
    (LETTER, "requeue", ("operate", "admin")),
    (LETTER, "discard", ("operate", "admin")),
    (QUEUE, "pause", ("operate", "admin")),
    (QUEUE, "resume", ("operate", "admin")),
    (QUEUE, "purge", ("admin",)),
    (SCHEDULE, "resume", ("operate", "admin")),
    (SCHEDULE, "pause", ("operate", "admin")),
    (SCHEDULE, "run_now", ("operate", "admin")),
    (SCHEDULE, "duplicate", ("admin",)),
    (SCHEDULE, "delete_selected", ("admin",)),
    (TOKEN, "delete_selected", ("admin",)),
]
PAGES = [
    *("jobs_job", "jobs_queue", "jobs_worker", "jobs_activity", "dlq_deadletter"),
    *("django_celery_beat_periodictask", "django_celery_beat_crontabschedule"),
    *("django_celery_results_taskresult", "django_celery_results_groupresult"),
]


@pytest.fixture
def rows() -> dict[str, Any]:
    """One row for each page with actions."""
    job_id = dead("order-1", -1)
    set_limits("default")
    every, _ = IntervalSchedule.objects.get_or_create(every=300, period="seconds")
    schedule = PeriodicTask.objects.create(name="health", task="check_health", interval=every)
    return {
        JOB: job_id,
        LETTER: DeadLetter.objects.get().pk,
        QUEUE: "heavy",
        SCHEDULE: schedule.pk,
        TOKEN: Token.objects.create(name="ci", hash="x", scope="view").pk,
    }


def press(client: Client, page: str, action: str, pk: Any, **more: Any) -> Any:
    data = {"action": action, ACTION_CHECKBOX_NAME: str(pk), **more}
    return client.post(reverse(f"admin:{page}_changelist"), data)


def state() -> Any:
    """All that an action could change."""
    return (
        sorted(Job.objects.values_list("pk", "state")),
        sorted(DeadLetter.objects.values_list("pk", "status")),
        sorted(Queue.objects.values_list("pk", "paused")),
        sorted(PeriodicTask.objects.values_list("pk", "enabled", "name")),
        Token.objects.count(),
        Activity.objects.count(),
    )


@pytest.mark.parametrize(("page", "action", "allowed"), ACTIONS)
@pytest.mark.parametrize("role", ["view", "operate", "admin"])
def test_an_action_is_for_those_who_may(
    rows: dict[str, Any], role: str, page: str, action: str, allowed: tuple[str, ...]
) -> None:
    client = browser(role)
    pk = posted() if action == "cancel" else rows[page]
    if action == "resume":
        Queue.objects.update(paused=True)
        PeriodicTask.objects.update(enabled=False)
    before = state()
    answer = press(client, page, action, pk, answered="1", reason="test", sure="on", post="yes", name="new")
    if role in allowed:
        assert answer.status_code == 302
        assert state() != before
        assert Activity.objects.filter(by=role).exists()
    else:
        assert answer.status_code == 403
        assert state() == before


@pytest.mark.parametrize("page", [JOB, LETTER])
def test_requeueing_with_changes_is_for_operators(rows: dict[str, Any], page: str) -> None:
    before, client = state(), browser("view")
    url = reverse(f"admin:{page}_requeue_changed", args=[rows[page]])
    said = {"args": '["order-1", 5]', "kwargs": "{}"}
    assert (client.get(url).status_code, client.post(url, said).status_code) == (403, 403)
    assert state() == before


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_every_page_without_any_action(rows: dict[str, Any], page: str) -> None:
    answer = browser("view").get(reverse(f"admin:{page}_changelist"))
    assert answer.status_code == 200
    assert b'name="action"' not in answer.content


@pytest.mark.parametrize("page", [JOB, LETTER, QUEUE, SCHEDULE])
def test_a_viewer_finds_no_button_on_a_rows_page(rows: dict[str, Any], page: str) -> None:
    answer = browser("view").get(reverse(f"admin:{page}_change", args=[rows[page]]))
    assert answer.status_code == 200
    assert b'name="action"' not in answer.content
    assert b"<textarea" not in answer.content


@pytest.mark.parametrize("page", [JOB, LETTER, QUEUE, SCHEDULE])
def test_an_operator_finds_the_buttons(rows: dict[str, Any], page: str) -> None:
    answer = browser("operate").get(reverse(f"admin:{page}_change", args=[rows[page]]))
    assert answer.content.count(b'name="from_page"') >= 1


@pytest.mark.parametrize("page", [JOB, LETTER, QUEUE, "jobs_worker", "jobs_activity", TOKEN])
def test_nobody_adds_or_edits_rows_by_hand(rows: dict[str, Any], page: str) -> None:
    client = browser("admin")
    assert client.get(reverse(f"admin:{page}_add")).status_code == 403
    if page in rows:
        url = reverse(f"admin:{page}_change", args=[rows[page]])
        assert client.post(url, {"task": "other", "name": "other"}).status_code == 403


@pytest.mark.parametrize("role", ["view", "operate"])
def test_schedules_are_edited_by_admins_only(rows: dict[str, Any], role: str) -> None:
    client = browser(role)
    assert client.get(reverse(f"admin:{SCHEDULE}_add")).status_code == 403
    assert client.post(reverse(f"admin:{SCHEDULE}_change", args=[rows[SCHEDULE]]), {"name": "x"}).status_code == 403
    assert client.post(reverse(f"admin:{SCHEDULE}_delete", args=[rows[SCHEDULE]]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("role", ["view", "operate"])
def test_tokens_are_shown_to_admins_only(rows: dict[str, Any], role: str) -> None:
    assert browser(role).get(reverse(f"admin:{TOKEN}_changelist")).status_code == 403


@pytest.mark.parametrize(
    ("page", "action"),
    [(JOB, "delete_selected"), *((SCHEDULE, f"{verb}_tasks") for verb in ("enable", "disable", "toggle", "run"))],
)
def test_an_action_that_no_page_has_is_refused(rows: dict[str, Any], page: str, action: str) -> None:
    before, client = state(), browser("admin")
    assert press(client, page, action, rows[page]).status_code == 403
    assert state() == before


def test_a_get_never_acts(rows: dict[str, Any]) -> None:
    before, client = state(), browser("admin")
    for page, action, _ in ACTIONS:
        client.get(
            reverse(f"admin:{page}_changelist"),
            {"action": action, ACTION_CHECKBOX_NAME: str(rows[page]), "answered": "1"},
        )
    client.get(reverse(f"admin:{LETTER}_requeue_changed", args=[rows[LETTER]]), {"args": "[]", "kwargs": "{}"})
    assert state() == before


def test_someone_signed_out_is_led_to_the_login(rows: dict[str, Any]) -> None:
    answer = press(Client(), JOB, "requeue", rows[JOB])
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]
    assert Job.objects.get(pk=rows[JOB]).state == State.DEAD


def test_an_action_without_the_csrf_token_is_refused(rows: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    assert press(client, JOB, "requeue", rows[JOB]).status_code == 403
    assert Job.objects.get(pk=rows[JOB]).state == State.DEAD
