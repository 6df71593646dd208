"""What the pages show, and what pressing says."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_celery_results.models import TaskResult

from dlq import lifecycle
from dlq.models import DeadLetter
from jobs import operations
from jobs.console import acting
from jobs.lifecycle import set_limits
from jobs.models import Activity, Job, JobTag, Queue, Worker
from jobs.states import State
from jobs.tasks.send_email import send_email
from tests.support.deaths import claimed, dead, die, posted
from tests.support.people import browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return browser("admin")


@pytest.fixture
def secretive() -> Iterator[Any]:
    """send_email with a secret body."""
    task = current_app.tasks["send_email"]
    task.secrets = ("body",)
    yield task
    del task.secrets


def text(client: Client, page: str, *args: Any, **query: Any) -> str:
    """The page's HTML."""
    answer = client.get(reverse(f"admin:{page}", args=args), query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def press(client: Client, page: str, action: str, *pks: Any, **more: Any) -> str:
    """What the page says after the action."""
    data = {"action": action, ACTION_CHECKBOX_NAME: [str(pk) for pk in pks], **more}
    answer = client.post(reverse(f"admin:{page}_changelist"), data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


# --- jobs -------------------------------------------------------------------------------------------


def test_the_first_page_counts_what_waits_and_what_died(admin: Client) -> None:
    posted()
    dead()
    html = text(admin, "index")
    assert "Dead letters" in html
    assert f'href="{reverse("admin:jobs_job_changelist")}?state=queued"' in html


def test_a_job_is_found_by_id_task_tag_and_error(admin: Client) -> None:
    mail = posted("a@example.com", "s", "b", task=send_email)
    gone = dead()
    JobTag.objects.create(job_id=mail, tag="spring")
    for term, found, other in ((mail, mail, gone), ("spring", mail, gone), ("TaskFailure", gone, mail)):
        html = text(admin, "jobs_job_changelist", q=term)
        assert found in html
        assert other not in html


def test_the_lists_read_no_payload_and_count_with_a_limit(admin: Client) -> None:
    dead()
    for page in ("jobs_job", "dlq_deadletter", "django_celery_results_taskresult"):
        with CaptureQueriesContext(
            connection,
        ) as seen:
            text(admin, f"{page}_changelist")
        table = {"jobs_job": "jobs_job", "dlq_deadletter": "dlq_deadletter"}.get(page, page)
        reads = [query["sql"] for query in seen if f'FROM "{table}"' in query["sql"]]
        assert reads
        assert not [sql for sql in reads if f'"{table}"."body"' in sql or '"result",' in sql or '"traceback"' in sql]
        assert not [sql for sql in reads if "COUNT(" in sql and "LIMIT" not in sql]


def test_a_jobs_page_tells_its_attempts_with_their_tracebacks(admin: Client) -> None:
    html = text(admin, "jobs_job_change", dead("order-7", -1))
    assert "Attempt 1" in html
    assert "in charge" in html
    assert "amount must be above 0" in html
    assert "[&quot;order-7&quot;, -1]" in html


def test_a_jobs_page_shows_what_it_returned(admin: Client) -> None:
    job_id = posted("a@example.com", "s", "b", task=send_email)
    Job.objects.filter(pk=job_id).update(state=State.SUCCEEDED, finished_at=timezone.now())
    TaskResult.objects.create(task_id=job_id, status="SUCCESS", result='{"status": "sent"}')
    assert "{&quot;status&quot;: &quot;sent&quot;}" in text(admin, "jobs_job_change", job_id)
    TaskResult.objects.all().delete()
    assert "Expired" in text(admin, "jobs_job_change", job_id)


def test_markup_in_arguments_and_errors_is_shown_as_text(admin: Client) -> None:
    evil = "<img src=x onerror=alert(1)>"
    job_id = posted(evil, -1)
    die(job_id, error=evil, message=evil, traceback=evil)
    letter = DeadLetter.objects.get()
    for page, pk in (("jobs_job_change", job_id), ("dlq_deadletter_change", letter.pk)):
        assert "<img" not in text(admin, page, pk)
    for page in ("jobs_job_changelist", "dlq_deadletter_changelist"):
        assert "<img src=x" not in text(admin, page)


def test_requeue_says_how_many_and_how_many_not(admin: Client) -> None:
    html = press(admin, "jobs_job", "requeue", dead(), posted())
    assert "Requeued 1 job. 1 not dead, cancelled or expired." in html


def test_a_second_press_says_that_nothing_was_left_to_do(admin: Client) -> None:
    job_id = dead()
    press(admin, "jobs_job", "requeue", job_id)
    assert "Requeued 0 jobs." in press(admin, "jobs_job", "requeue", job_id)
    assert Activity.objects.count() == 1


@pytest.mark.parametrize("page", ["jobs_job", "dlq_deadletter"])
def test_a_requeue_may_say_why(admin: Client, page: str) -> None:
    job_id = dead()
    pk = job_id if page == "jobs_job" else DeadLetter.objects.get().pk
    for shown in (text(admin, f"{page}_changelist"), text(admin, f"{page}_change", pk)):
        assert re.search(r'<label>Why:? <input type="text" name="reason"[^>]*></label>', shown)
    press(admin, page, "requeue", pk, reason=" order mended ")
    assert Activity.objects.get().reason == "order mended"
    assert DeadLetter.objects.get().close_reason == "order mended"


def test_a_reason_given_beside_the_action_is_kept_by_the_question(admin: Client) -> None:
    html = press(admin, "jobs_job", "cancel", posted(), reason="wrong list")
    assert 'name="reason" value="wrong list"' in html


def test_cancel_asks_first_and_says_what_will_be_cancelled(admin: Client) -> None:
    waiting, running = posted(), posted("order-2", 1)
    claimed(running)
    html = press(admin, "jobs_job", "cancel", waiting, running)
    assert "Cancel 2 jobs" in html
    assert "Running: 1" in html
    assert Job.objects.get(pk=waiting).state == State.QUEUED


def test_cancel_keeps_the_reason_and_marks_what_runs_on(admin: Client) -> None:
    waiting, running = posted(), posted("order-2", 1)
    claimed(running)
    html = press(admin, "jobs_job", "cancel", waiting, running, answered="1", reason="wrong list")
    assert "Cancelled 1 job. 1 job left running, cancel requested." in html
    assert Job.objects.get(pk=waiting).state == State.CANCELLED
    assert Job.objects.get(pk=running).cancel_requested
    assert set(Activity.objects.values_list("reason", flat=True)) == {"wrong list"}


def test_more_than_one_press_may_act_on_is_refused_with_a_sentence(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "MOST", 1)
    one, two = dead("a", -1), dead("b", -1)
    assert "More than 1 rows are selected" in press(admin, "jobs_job", "requeue", one, select_across="1")
    assert set(Job.objects.filter(pk__in=[one, two]).values_list("state", flat=True)) == {State.DEAD}


def test_a_button_leads_back_to_its_page(admin: Client) -> None:
    job_id = dead()
    answer = admin.post(
        reverse("admin:jobs_job_changelist"),
        {"action": "requeue", ACTION_CHECKBOX_NAME: job_id, "from_page": job_id},
    )
    assert answer["Location"] == reverse("admin:jobs_job_change", args=[job_id])


# --- requeue with changes ---------------------------------------------------------------------------


def changed(client: Client, pk: Any, args: str, kwargs: str = "{}", page: str = "dlq_deadletter") -> Any:
    url = reverse(f"admin:{page}_requeue_changed", args=[pk])
    return client.post(url, {"args": args, "kwargs": kwargs, "reason": "amount mended"})


def test_good_arguments_make_a_new_job_and_the_message_leads_to_it(admin: Client) -> None:
    dead("order-1", -1)
    letter = DeadLetter.objects.get()
    answer = changed(admin, letter.pk, '["order-1", 12]')
    letter.refresh_from_db()
    assert answer["Location"] == reverse("admin:dlq_deadletter_change", args=[letter.pk])
    html = admin.get(answer["Location"]).content.decode()
    assert reverse("admin:jobs_job_change", args=[letter.replaced_by_id]) in html
    assert (letter.closed_by, letter.close_reason) == ("admin", "amount mended")


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ('["order-1", ', "{}", "This is not JSON"),
        ('{"order": 1}', "{}", "This must be a list"),
        ("[]", "[1]", "This must be an object"),
        ('["order-1"]', "{}", "amount: Missing"),
        ('["order-1", 5]', '{"color": "red"}', "color: Unexpected argument"),
        ('["order-1", 5]', "", "This field is required"),
    ],
)
def test_bad_arguments_are_named_and_the_text_is_kept(admin: Client, args: str, kwargs: str, said: str) -> None:
    dead("order-1", -1)
    answer = changed(admin, DeadLetter.objects.get().pk, args, kwargs)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert said in html
    assert args.replace('"', "&quot;") in html
    assert Job.objects.count() == 1
    assert DeadLetter.objects.get().status == "open"


def test_a_second_press_with_changes_makes_no_second_job(admin: Client) -> None:
    dead("order-1", -1)
    letter = DeadLetter.objects.get()
    changed(admin, letter.pk, '["order-1", 12]')
    answer = changed(admin, letter.pk, '["order-1", 12]')
    assert "was already requeued by admin" in answer.content.decode()
    assert Job.objects.count() == 2


def test_a_dead_job_is_requeued_with_changes_from_its_own_page_too(admin: Client) -> None:
    job_id = dead("order-1", -1)
    answer = changed(admin, job_id, '["order-1", 12]', page="jobs_job")
    assert answer["Location"] == reverse("admin:jobs_job_change", args=[job_id])
    assert Job.objects.get(requeued_from_id=job_id).state == State.QUEUED
    assert DeadLetter.objects.get().status == "requeued"


def test_a_job_or_letter_that_nobody_knows_is_not_found(admin: Client) -> None:
    assert changed(admin, "999999", "[]").status_code == 404
    assert changed(admin, "nobody", "[]", page="jobs_job").status_code == 404


# --- secrets ----------------------------------------------------------------------------------------


def test_who_may_not_see_payloads_sees_no_secret_anywhere(secretive: Any) -> None:
    job_id = posted("a@example.com", "s", "hunter22", task=secretive)
    die(job_id, message="refused: hunter22", traceback="body was hunter22")
    TaskResult.objects.create(task_id=job_id, task_name="send_email", status="FAILURE", traceback="hunter22")
    pages = [
        ("jobs_job_change", job_id),
        ("dlq_deadletter_change", DeadLetter.objects.get().pk),
        ("dlq_deadletter_requeue_changed", DeadLetter.objects.get().pk),
        ("django_celery_results_taskresult_change", TaskResult.objects.get().pk),
    ]
    operator, admin = browser("operate"), browser("admin")
    for page, pk in pages:
        assert "hunter22" not in text(operator, page, pk)
        assert "hunter22" in text(admin, page, pk)
    for page in ("jobs_job_changelist", "dlq_deadletter_changelist"):
        assert "hunter22" not in text(operator, page)


def test_a_secret_that_was_left_masked_is_kept_by_a_requeue_with_changes(secretive: Any) -> None:
    job_id = posted("wrong", "s", "hunter22", task=secretive)
    die(job_id)
    changed(browser("operate"), DeadLetter.objects.get().pk, '["right@example.com", "s", "[redacted]"]')
    new = Job.objects.get(requeued_from_id=job_id)
    assert "right@example.com" in new.body
    assert "hunter22" in new.body


# --- dead letters -----------------------------------------------------------------------------------


def test_open_letters_are_shown_unless_others_are_asked_for(admin: Client) -> None:
    dead("a", -1)
    dead("b", -1)
    first, second = DeadLetter.objects.order_by("pk")
    lifecycle.discard([first.pk], by="ada")
    link = f">#{first.pk}<"
    assert link not in text(admin, "dlq_deadletter_changelist")
    assert f">#{second.pk}<" in text(admin, "dlq_deadletter_changelist")
    assert link in text(admin, "dlq_deadletter_changelist", status="discarded")
    assert link in text(admin, "dlq_deadletter_changelist", status="all")


def test_discard_asks_for_a_reason_and_keeps_it(admin: Client) -> None:
    dead()
    letter = DeadLetter.objects.get()
    assert "Discard 1 dead letter" in press(admin, "dlq_deadletter", "discard", letter.pk)
    assert DeadLetter.objects.get().status == "open"
    html = press(admin, "dlq_deadletter", "discard", letter.pk, answered="1", reason="test order")
    assert "Discarded 1 dead letter." in html
    assert DeadLetter.objects.get().close_reason == "test order"


def test_requeueing_a_letter_twice_says_that_it_is_closed(admin: Client) -> None:
    dead()
    letter = DeadLetter.objects.get()
    press(admin, "dlq_deadletter", "requeue", letter.pk)
    html = press(admin, "dlq_deadletter", "requeue", letter.pk)
    assert "was already requeued by admin" in html
    assert Activity.objects.count() == 1


def test_many_letters_are_requeued_with_their_count(admin: Client) -> None:
    dead("a", -1)
    dead("b", -1)
    html = press(admin, "dlq_deadletter", "requeue", *DeadLetter.objects.values_list("pk", flat=True))
    assert "Requeued 2 dead letters." in html


# --- queues, workers, results ------------------------------------------------------------


def test_every_declared_queue_is_listed_with_its_line(admin: Client) -> None:
    posted("a@example.com", "s", "b", task=send_email)
    html = text(admin, "jobs_queue_changelist")
    assert [name for name in ("emails", "heavy", "payments", "default") if f">{name}<" not in html] == []
    assert '<td class="field-depth">1</td>' in html


def test_a_pause_is_shown_with_who_and_why(admin: Client) -> None:
    set_limits("default")
    html = press(admin, "jobs_queue", "pause", "heavy", answered="1", reason="disk is full")
    assert "Paused heavy." in html
    assert "disk is full" in html
    assert Queue.objects.get(pk="heavy").paused_by == "admin"
    press(admin, "jobs_queue", "resume", "heavy")
    assert not Queue.objects.get(pk="heavy").paused


def test_purge_names_the_count_and_wants_to_be_sure(admin: Client) -> None:
    set_limits("default")
    job_id = posted("a@example.com", "s", "b", task=send_email)
    assert "emails: 1 waiting job" in press(admin, "jobs_queue", "purge", "emails")
    press(admin, "jobs_queue", "purge", "emails", answered="1")
    assert Job.objects.get(pk=job_id).state == State.QUEUED
    assert "Cancelled 1 waiting job" in press(admin, "jobs_queue", "purge", "emails", answered="1", sure="on")
    assert Job.objects.get(pk=job_id).state == State.CANCELLED


def test_a_queue_that_nobody_declared_is_refused_with_a_sentence(admin: Client) -> None:
    set_limits("default")
    html = press(admin, "jobs_queue", "resume", "emails", "nonsense")
    assert "Unknown queue" in html


def test_a_silent_worker_is_marked(admin: Client) -> None:
    now = timezone.now()
    common = {"pid": 1, "queues": "emails", "concurrency": 2, "pool": "prefork", "started_at": now}
    Worker.objects.create(id="a", name="alive@here", heartbeat_at=now, **common)
    Worker.objects.create(id="b", name="silent@here", heartbeat_at=now - timedelta(minutes=5), **common)
    html = text(admin, "jobs_worker_changelist")
    assert "Alive" in html
    assert "Silent" in html


def test_a_queue_that_is_switched_already_is_left_alone(admin: Client) -> None:
    set_limits("default")
    press(admin, "jobs_queue", "pause", "heavy", answered="1")
    html = press(admin, "jobs_queue", "pause", "heavy", "emails", answered="1")
    assert "Paused emails. Running jobs run on; the others wait. Already paused: heavy." in html
    assert "Not paused: payments." in press(admin, "jobs_queue", "resume", "payments")
    assert list(Activity.objects.order_by("pk").values_list("key", flat=True)) == ["heavy", "emails"]


def test_activity_is_found_by_name_and_key(admin: Client) -> None:
    set_limits("default")
    operations.pause("heavy", by="ada", reason="first")
    operations.pause("emails", by="bob", reason="second")
    html = text(admin, "jobs_activity_changelist", q="ada")
    assert "first" in html
    assert "second" not in html
