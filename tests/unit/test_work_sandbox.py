"""The sandbox: what it takes, shows, and how it fails on demand."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from jobs.sandbox import faults
from jobs.sandbox.models import Fault, GatewayCharge, SentMail
from jobs.sandbox.sample import KEY, put_sample

pytestmark = pytest.mark.django_db

MAIL = {"to": "ann@example.com", "subject": "Hello <b>you</b>", "body": "Text"}
HTML = {
    "html": '<p>Hi</p><img src="cid:x">',
    "attachments": [{"name": "x.png", "type": "image/png", "content": "QUJD", "cid": "x"}],
}


@pytest.fixture(scope="module", autouse=True)
def static_root() -> None:
    """WhiteNoise warns without it."""
    Path(project.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


def post(client: Client, path: str, body: dict[str, Any], key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"/sandbox/{path}", json.dumps(body), content_type="application/json", headers=headers)


def test_a_mail_is_kept_and_can_be_read(client: Client) -> None:
    assert post(client, "mail", MAIL, "k").status_code == 202
    assert "Hello &lt;b&gt;you" in client.get("/sandbox/").content.decode()
    page = client.get(f"/sandbox/mails/{SentMail.objects.get().pk}/").content.decode()
    assert "ann@example.com" in page
    assert "<iframe" not in page


def test_a_mail_as_html_is_shown_in_a_frame_that_runs_nothing_with_its_pictures(client: Client) -> None:
    post(client, "mail", {**MAIL, **HTML})
    page = client.get(f"/sandbox/mails/{SentMail.objects.get().pk}/").content.decode()
    assert "<iframe sandbox " in page
    assert "data:image/png;base64,QUJD" in page
    assert "<p>Hi</p>" not in page


def test_the_same_mail_under_one_key_is_one_mail(client: Client) -> None:
    post(client, "mail", MAIL, "k")
    assert post(client, "mail", MAIL, "k").json()["status"] == "duplicate"
    assert SentMail.objects.get().deliveries == 2
    post(client, "mail", MAIL)
    post(client, "mail", MAIL)
    assert SentMail.objects.count() == 3


def test_a_charge_is_made_once_a_key_and_can_be_asked_for(client: Client) -> None:
    first = post(client, "payments/charges", {"order_id": "A-1", "amount": "5"}, "payment:A-1")
    again = post(client, "payments/charges", {"order_id": "A-1", "amount": "5.00"}, "payment:A-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert client.get("/sandbox/payments/charges/payment:A-1").json() == first.json() == again.json()
    assert GatewayCharge.objects.get().deliveries == 2


def test_a_key_used_for_another_amount_is_a_conflict(client: Client) -> None:
    post(client, "payments/charges", {"order_id": "A-1", "amount": "5"}, "k")
    assert post(client, "payments/charges", {"order_id": "A-1", "amount": "6"}, "k").status_code == 409


def test_a_charge_without_a_key_is_refused_and_an_unknown_one_not_found(client: Client) -> None:
    assert post(client, "payments/charges", {"order_id": "A-1", "amount": "5"}).status_code == 400
    assert client.get("/sandbox/payments/charges/none").status_code == 404


def test_the_crm_has_people(client: Client) -> None:
    people = client.get("/sandbox/crm/contacts").json()
    assert len(people) == len({person["id"] for person in people}) == 25


@pytest.mark.parametrize(("mode", "status"), [("500", 500), ("429", 429), ("400", 400), ("lost", 502)])
def test_a_service_fails_for_its_next_calls_and_is_well_again(client: Client, mode: str, status: int) -> None:
    faults.switch_on(Fault.Service.MAIL, mode, 2)
    assert [post(client, "mail", MAIL, "k").status_code for _ in range(3)] == [
        status,
        status,
        200 if mode == "lost" else 202,
    ]
    assert SentMail.objects.get().deliveries == (3 if mode == "lost" else 1)


def test_a_service_fails_until_it_is_switched_off_and_the_others_work(client: Client) -> None:
    client.post("/sandbox/switch/", {"service": "mail", "mode": "500", "calls": ""})
    assert {post(client, "mail", MAIL).status_code for _ in range(4)} == {500}
    assert client.get("/sandbox/crm/contacts").status_code == 200
    assert "answers 500" in client.get("/sandbox/").content.decode()
    client.post("/sandbox/switch/", {"service": "mail", "mode": ""})
    assert post(client, "mail", MAIL).status_code == 202


@pytest.mark.parametrize(
    "posted",
    [
        {},
        {"service": "moon", "mode": "500"},
        {"service": "mail", "mode": "x"},
        {"service": "mail", "mode": "500", "calls": "0"},
    ],
)
def test_a_switch_that_makes_no_sense_is_refused(client: Client, posted: dict[str, str]) -> None:
    assert client.post("/sandbox/switch/", posted).status_code == 400
    assert not Fault.objects.exists()


def test_the_switch_is_guarded_against_other_sites() -> None:
    assert (
        Client(enforce_csrf_checks=True).post("/sandbox/switch/", {"service": "mail", "mode": "500"}).status_code == 403
    )


def test_a_sample_picture_lies_in_the_storage(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    put_sample()
    put_sample()
    with default_storage.open(KEY) as file:
        image = Image.open(io.BytesIO(file.read()))
    assert (image.format, image.size) == ("JPEG", (1600, 1067))
    assert image.getexif()[0x010F] == "Stationmaster"
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["photo.jpg"]
