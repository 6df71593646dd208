"""Each built-in task, by real workers against the sandbox over HTTP: posted by the API, seen to its end."""

import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import chain, chord
from celery.result import AsyncResult
from django.utils import timezone
from PIL import Image

from jobs.models import Job
from jobs.sandbox import faults, sample
from jobs.sandbox.models import GatewayCharge, SentMail
from jobs.tasks.fetch_data import fetch_data
from jobs.tasks.generate_report import generate_report
from jobs.tasks.process_image import process_image
from jobs.tasks.process_payment import process_payment
from jobs.tasks.save_to_db import save_to_db
from jobs.tasks.transform_data import transform_data
from jobs.work.models import Charge, Contact, Record
from tests.support.outside import Reply, outside
from tests.support.station import Station

QUEUES = "emails,heavy,payments,default"


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with the web (the sandbox is in it), beat, and a worker on every queue."""
    station.web()
    station.beat()
    station.worker(QUEUES, concurrency=4)
    return station


@pytest.fixture(autouse=True)
def well(running: Station) -> None:
    """Every service of the sandbox works, until a test switches it."""
    for service in ("mail", "payments", "crm"):
        running.call(faults.switch_off, service)


# --- What a console of the station is asked -------------------------------------------------------


def mails(subject: str) -> list[dict[str, Any]]:
    found = SentMail.objects.filter(subject__startswith=subject)
    return [dict(mail) for mail in found.values("to", "body", "key", "html", "attachments", "deliveries")]


def charges(order_id: str) -> list[dict[str, Any]]:
    return [dict(row) for row in GatewayCharge.objects.filter(order_id=order_id).values("key", "amount", "deliveries")]


def statuses(order_id: str) -> list[str]:
    return list(Charge.objects.filter(order_id=order_id).values_list("status", flat=True))


def contacts(source: str) -> int:
    return Contact.objects.filter(source=source).count()


def records(source: str) -> int:
    return Record.objects.filter(source=source).count()


def post_chain(url: str) -> str:
    return str(chain(fetch_data.s(url), transform_data.s(), save_to_db.s()).apply_async().id)


def post_chord(paths: list[str]) -> str:
    header = [process_image.s(path, ["thumbnail", {"op": "compress", "quality": 60}]) for path in paths]
    return str(chord(header, generate_report.s()).apply_async().id)


def post_payment(order_id: str, soft_time_limit: int) -> str:
    return str(process_payment.apply_async((order_id, 5), soft_time_limit=soft_time_limit).id)


def remaining(id: str) -> float:
    return float((Job.objects.get(id=id).run_at - timezone.now()).total_seconds())


def error_of(id: str) -> str:
    try:
        AsyncResult(id).get(timeout=10)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def post(station: Station, task: str, *args: Any, **options: Any) -> str:
    answer = station.http("POST", f"/tasks/{task}", {"args": list(args), **options}, token=station.token())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def put_photo(station: Station, key: str) -> Path:
    path = station.data / "media" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sample.drawn())
    return path


# --- send_email -----------------------------------------------------------------------------------


def test_an_email_reaches_the_mail_api_under_its_jobs_id(running: Station) -> None:
    body = {"to": "ann@example.com", "subject": "Welcome", "body": "Hello Ann"}
    answer = running.http("POST", "/tasks/email", body, token=running.token())
    assert answer.status_code == 202
    id = answer.json()["task_id"]
    assert running.wait_state(id, "succeeded")["queue"] == "emails"
    assert running.value(id) == {"status": "sent", "to": "ann@example.com"}
    [mail] = running.call(mails, "Welcome")
    assert (mail["to"], mail["body"], mail["key"]) == ("ann@example.com", "Hello Ann", id)


def test_an_email_is_tried_again_when_the_mail_api_fails(running: Station) -> None:
    running.call(faults.switch_on, "mail", "500", 1)
    id = post(running, "send_email", "ann@example.com", "Once more", "Text")
    done = running.wait_state(id, "succeeded", timeout=60)
    assert (done["attempt"], done["retries"]) == (2, 1)
    assert len(running.call(mails, "Once more")) == 1


def test_an_email_whose_answer_was_lost_is_delivered_once(running: Station) -> None:
    running.call(faults.switch_on, "mail", "lost", 1)
    id = post(running, "send_email", "ann@example.com", "Only once", "Text")
    running.wait_state(id, "succeeded", timeout=60)
    [mail] = running.call(mails, "Only once")
    assert mail["deliveries"] == 2


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("status", ["500", "400"])
def test_an_email_is_given_up_after_three_retries(running: Station, status: str) -> None:
    running.call(faults.switch_on, "mail", status)
    id = post(running, "send_email", "ann@example.com", "Never", "Text")
    dead = running.wait_state(id, "dead", timeout=90)
    assert (dead["attempt"], dead["max_attempts"]) == (4, 4)
    assert status in dead["message"]
    assert running.letters(id)[0]["reason"] == "exhausted"


@pytest.mark.parametrize("subject", ["Hello\nBcc: all@example.com", "Hello\r\nX: y"])
def test_an_email_with_a_line_break_in_its_subject_dies_at_once(running: Station, subject: str) -> None:
    id = post(running, "send_email", "ann@example.com", subject, "Text")
    assert running.wait_state(id, "dead")["attempt"] == 1
    assert running.letters(id)[0]["reason"] == "not_retryable"
    assert running.call(mails, "Hello") == []


# --- process_image --------------------------------------------------------------------------------


def test_a_picture_is_processed_with_progress(running: Station) -> None:
    photo = put_photo(running, "uploads/photo.jpg")
    body = {"path": "/uploads/photo.jpg", "operations": ["resize", {"op": "compress", "quality": 70}, "strip_metadata"]}
    answer = running.http("POST", "/tasks/process-image", body, token=running.token())
    id = answer.json()["task_id"]
    done = running.wait_state(id, "succeeded")
    assert done["queue"] == "heavy"
    assert json.loads(done["progress"]) == {"done": 3, "total": 3, "note": "strip_metadata"}
    result = running.value(id)
    assert (result["input"], result["output"]) == ("uploads/photo.jpg", "uploads/photo_processed.jpg")
    assert result["operations"] == body["operations"]
    image = Image.open(io.BytesIO((photo.parent / "photo_processed.jpg").read_bytes()))
    assert image.size == (800, 534)
    assert result["sizes"]["output"]["bytes"] < result["sizes"]["input"]["bytes"]


@pytest.mark.parametrize("path", ["../secret.jpg", "/uploads/none.jpg", "/uploads/broken.jpg"])
def test_a_picture_that_cannot_be_processed_dies_at_once(running: Station, path: str) -> None:
    broken = put_photo(running, "uploads/broken.jpg")
    broken.write_bytes(broken.read_bytes()[:5000])
    id = post(running, "process_image", path, ["resize"])
    assert running.wait_state(id, "dead")["attempt"] == 1
    assert running.letters(id)[0]["reason"] == "not_retryable"


def test_a_chord_of_pictures_ends_in_a_report(running: Station) -> None:
    keys = [f"uploads/album-{number}.jpg" for number in range(3)]
    for key in keys:
        put_photo(running, key)
    id = running.call(post_chord, keys)
    running.wait_state(id, "succeeded", timeout=60)
    page = (running.data / "media" / running.value(id)["report"]).read_text()
    assert page.count("<rect") == 6
    assert all(key in page for key in keys)


# --- sync_data and the pipeline -------------------------------------------------------------------


def test_contacts_are_synced_from_the_crm_and_again_without_doubles(running: Station) -> None:
    url = f"http://127.0.0.1:{running.port}/sandbox/crm/contacts"
    for _ in range(2):
        id = post(running, "sync_data", url)
        running.wait_state(id, "succeeded")
        assert running.value(id) == {"synced": 25, "source": url}
    assert running.call(contacts, url) == 25


def test_a_sync_is_tried_again_when_the_source_fails(running: Station) -> None:
    running.call(faults.switch_on, "crm", "500", 1)
    id = post(running, "sync_data", f"http://127.0.0.1:{running.port}/sandbox/crm/contacts")
    assert running.wait_state(id, "succeeded", timeout=60)["retries"] == 1


def test_a_sync_from_a_private_address_dies_at_once(running: Station) -> None:
    id = post(running, "sync_data", "http://10.0.0.1/contacts")
    dead = running.wait_state(id, "dead")
    assert (dead["attempt"], dead["error"]) == (1, "AddressRefused")
    assert "OUTBOUND_ALLOWED_HOSTS" in dead["message"]
    assert running.call(error_of, id) == f"AddressRefused: {dead['message']}"


def test_a_redirect_to_a_private_address_is_not_followed(running: Station) -> None:
    with outside() as source:
        source.answer = lambda request: Reply(status=302, headers={"Location": "http://169.254.169.254/latest"})
        id = post(running, "sync_data", source.url())
        assert running.wait_state(id, "dead")["error"] == "AddressRefused"


def test_a_chain_fetches_transforms_and_saves_by_keys(running: Station) -> None:
    url = f"http://127.0.0.1:{running.port}/sandbox/crm/contacts"
    id = running.call(post_chain, url)
    running.wait_state(id, "succeeded", timeout=60)
    assert running.value(id) == {"fetched": 25, "dropped": 0, "saved": 25}
    assert running.call(records, url) == 25
    assert "example.com" not in running.job(id)["body"]


# --- process_payment ------------------------------------------------------------------------------


def test_a_payment_is_charged_once(running: Station) -> None:
    for _ in range(2):
        id = post(running, "process_payment", "A-1", "12.50")
        assert running.wait_state(id, "succeeded")["queue"] == "payments"
        assert running.value(id) == {"order_id": "A-1", "status": "paid"}
    assert running.call(charges, "A-1") == [{"key": "payment:A-1", "amount": "12.50", "deliveries": 1}]


@pytest.mark.parametrize("amount", [-1, 0, "-0.01"])
def test_a_payment_of_nothing_or_less_is_accepted_and_fails_in_the_task(running: Station, amount: Any) -> None:
    id = post(running, "process_payment", f"N{amount}", amount)
    dead = running.wait_state(id, "dead")
    assert (dead["attempt"], dead["error"]) == (1, "AmountRefused")
    assert running.letters(id)[0]["reason"] == "not_retryable"
    assert running.call(charges, f"N{amount}") == []


def test_a_payment_that_the_gateway_refuses_is_tried_again(running: Station) -> None:
    running.call(faults.switch_on, "payments", "400", 1)
    id = post(running, "process_payment", "R-1", 5)
    done = running.wait_state(id, "succeeded", timeout=60)
    assert (done["attempt"], done["retries"]) == (2, 1)
    assert running.call(charges, "R-1") == [{"key": "payment:R-1", "amount": "5", "deliveries": 1}]


def test_a_payment_whose_answer_was_lost_is_charged_once(running: Station) -> None:
    running.call(faults.switch_on, "payments", "lost", 1)
    id = post(running, "process_payment", "L-1", 5)
    done = running.wait_state(id, "succeeded", timeout=60)
    assert done["retries"] == 1
    assert running.call(charges, "L-1") == [{"key": "payment:L-1", "amount": "5", "deliveries": 1}]
    assert running.call(statuses, "L-1") == ["paid"]


def test_a_payment_over_its_soft_time_limit_is_tried_again_later_and_charged_once(running: Station) -> None:
    running.call(faults.switch_on, "payments", "slow", 1)
    id = running.call(post_payment, "S-1", 1)
    waiting = running.wait_state(id, "retrying")
    assert waiting["error"] == "SoftTimeLimitExceeded"
    assert 9 < running.call(remaining, id) <= 12  # 120 s, at a tenth
    running.wait(lambda: running.call(charges, "S-1"))
    running.wait_state(id, "succeeded", timeout=60)
    assert running.call(charges, "S-1")[0]["deliveries"] == 1


def test_a_charged_order_with_another_amount_dies_at_once(running: Station) -> None:
    running.wait_state(post(running, "process_payment", "O-1", 5), "succeeded")
    id = post(running, "process_payment", "O-1", 6)
    assert running.wait_state(id, "dead")["error"] == "AlreadyCharged"
    assert running.call(charges, "O-1")[0]["amount"] == "5"
    assert running.call(error_of, id) == "AlreadyCharged: Order O-1 was already charged 5; it can't be charged 6."


def test_a_payment_that_waits_for_its_retry_does_not_hold_the_next(running: Station) -> None:
    running.call(faults.switch_on, "payments", "500", 1)
    first = post(running, "process_payment", "W-1", 5)
    running.wait_state(first, "retrying")
    second = post(running, "process_payment", "W-2", 5)
    running.wait_state(second, "succeeded")
    assert running.job(first)["state"] == "retrying"
    running.wait_state(first, "succeeded", timeout=60)


# --- health, report, cleanup ----------------------------------------------------------------------


def test_health_is_checked(running: Station) -> None:
    id = post(running, "check_health")
    running.wait_state(id, "succeeded")
    assert running.value(id)["checks"][0]["status"] == httpx.codes.OK


def test_the_weeks_report_is_mailed_with_its_chart(running: Station) -> None:
    id = post(running, "generate_weekly_report", "boss@example.com")
    running.wait_state(id, "succeeded")
    [mail] = [found for found in running.call(mails, "Jobs of the week") if found["key"] == id]
    assert mail["to"] == "boss@example.com"
    assert "Slowest tasks" in mail["html"]
    assert [part["type"] for part in json.loads(mail["attachments"])] == ["image/png"]


def test_cleanup_deletes_what_is_past_its_time(running: Station) -> None:
    old = post(running, "send_email", "ann@example.com", "Old", "Text")
    running.wait_state(old, "succeeded")
    running.sql("UPDATE jobs_job SET finished_at = '2020-01-01 00:00:00' WHERE id = %s", old)
    id = post(running, "cleanup_old_data")
    running.wait_state(id, "succeeded")
    assert running.value(id)["jobs"] >= 1
    assert running.job(old) == {}
