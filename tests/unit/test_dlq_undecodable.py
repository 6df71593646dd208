"""A message that nothing could decode: filed with its bytes, shown to whom payloads may be shown, never run again."""

import base64
from typing import Any

import pytest
from django.urls import reverse

from dlq import lifecycle
from dlq.answers import legible
from dlq.models import DeadLetter
from jobs.models import Job
from jobs.signals import message_undecodable
from jobs.states import Reason
from tests.support.api import ApiCaller, refused
from tests.support.people import browser

pytestmark = pytest.mark.django_db

RAW = b'\xff\x00{"password": "hunter22"}\n\\'
SEEN = '\\xff\\x00{"password": "hunter22"}\\n\\\\'


def _filed(raw: bytes = RAW, message: str = "can't decode hunter22\x00\ud800") -> DeadLetter:
    message_undecodable.send(None, raw=raw, queue="emails", error="DecodeError", message=message, using="default")
    return DeadLetter.objects.latest("pk")


def _page(role: str, letter: DeadLetter) -> str:
    answer = browser(role).get(reverse("admin:dlq_deadletter_change", args=[letter.pk]))
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_signal_files_a_letter_with_the_bytes_and_without_a_job() -> None:
    letter = _filed()
    assert (letter.job_id, letter.queue, letter.error, letter.status) == (None, "emails", "DecodeError", "open")
    assert letter.reason == Reason.UNDECODABLE
    assert bytes(letter.raw or b"") == RAW
    assert letter.message == "can't decode hunter22\\x00\\ud800"
    assert letter.created_at is not None
    assert not Job.objects.exists()


def test_letters_of_one_kind_of_message_share_a_fingerprint_and_are_not_linked() -> None:
    first, second = _filed(b"a"), _filed(b"b")
    assert first.fingerprint == second.fingerprint
    assert second.previous is None


def test_of_a_huge_message_the_first_mebibyte_is_kept_and_its_size_is_said() -> None:
    letter = _filed(b"x" * (lifecycle.RAW_KEPT + 1), "too odd")
    assert len(letter.raw or b"") == lifecycle.RAW_KEPT
    assert letter.message == "too odd The message had 1,048,577 bytes; the first 1,048,576 are kept."


def test_bytes_are_told_exactly_and_legibly() -> None:
    assert legible(RAW) == SEEN
    assert legible("Grüße\u202e".encode()) == "Grüße\\u202e"
    assert legible(b"\\xff") == "\\\\xff"


def test_those_who_may_see_payloads_see_the_bytes_on_its_page() -> None:
    html = _page("admin", _filed(b"\xffabc<b>"))
    assert "\\xffabc&lt;b&gt;" in html
    assert base64.b64encode(b"\xffabc<b>").decode() in html
    assert "Traceback" not in html


@pytest.mark.parametrize("role", ["view", "operate"])
def test_others_see_neither_the_bytes_nor_what_was_said_of_them(role: str) -> None:
    html = _page(role, _filed())
    assert "[redacted]" in html
    assert "hunter22" not in html
    assert base64.b64encode(RAW).decode() not in html


def test_its_page_offers_discard_and_no_requeue() -> None:
    html = _page("admin", _filed())
    assert 'value="discard"' in html
    assert 'value="requeue"' not in html
    assert 'id="changes"' not in html


def test_a_page_draws_the_beginning_of_a_large_message() -> None:
    html = _page("admin", _filed(b"\xff" * 500_000))
    assert "Its first 16,384 bytes" in html
    assert len(html) < 200_000


def test_an_ordinary_letter_has_no_message_on_its_page_and_no_bytes_in_the_api() -> None:
    letter = DeadLetter.objects.create(
        job_id="j", task="t", queue="q", body="[[], {}, {}]", reason="crashed", created_at="2026-01-01T00:00:00Z"
    )
    assert "as base64" not in _page("admin", letter)
    assert ApiCaller("admin").get(f"/dead-letters/{letter.pk}").json()["raw"] is None


def test_the_api_gives_the_bytes_to_those_who_may_see_payloads() -> None:
    seen = ApiCaller("admin").get(f"/dead-letters/{_filed().pk}").json()
    assert (seen["task_id"], seen["reason"], seen["traceback"]) == (None, "undecodable", None)
    assert seen["raw"] == {"bytes": len(RAW), "text": SEEN, "base64": base64.b64encode(RAW).decode()}


@pytest.mark.parametrize("path", ["/dead-letters", "/dead-letters/{}"])
def test_the_api_hides_them_from_others(path: str) -> None:
    answer = ApiCaller("view").get(path.format(_filed().pk))
    assert "hunter22" not in answer.content.decode()
    shown: Any = answer.json()
    assert shown.get("raw", {"bytes": len(RAW), "text": "[redacted]", "base64": "[redacted]"})["bytes"] == len(RAW)


@pytest.mark.parametrize("number", [12, 2**70])
def test_the_api_knows_no_letter_of_another_number(number: int) -> None:
    refused(ApiCaller("view").get(f"/dead-letters/{number}"), 404)


def test_the_api_refuses_to_requeue_it_and_discards_it() -> None:
    letter, api = _filed(), ApiCaller("operate")
    refused(api.post(f"/dead-letters/{letter.pk}/requeue", {}), 409)
    assert api.post(f"/dead-letters/{letter.pk}/discard", {"reason": "noise"}).status_code == 200
    letter.refresh_from_db()
    assert letter.status == "discarded"
