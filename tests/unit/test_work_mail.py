"""Mail: what is sent, by which way, and what is refused."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives

from jobs.errors import TaskFailure
from jobs.work import mail, outbound
from tests.support.outside import Outside, Reply, outside


@pytest.fixture
def api(settings: Any) -> Iterator[Outside]:
    """A mail API that the settings name; its address needs no permission of its own."""
    with outside() as running:
        settings.EMAIL_BACKEND = "jobs.work.mail.ApiMailBackend"
        settings.MAIL_API_URL = running.url("/send")
        settings.OUTBOUND_ALLOWED_HOSTS = []
        yield running


def test_a_mail_is_sent_by_djangos_backend() -> None:
    assert mail.send("ann@example.com", "Hello", "Text") == {"status": "sent", "to": "ann@example.com"}
    [sent] = outbox.outbox
    assert (sent.to, sent.subject, sent.body) == (["ann@example.com"], "Hello", "Text")


def test_the_api_gets_exactly_to_subject_and_body(api: Outside) -> None:
    mail.send("ann@example.com", "Grüße", "Text")
    [request] = api.requests
    assert (request.method, request.path) == ("POST", "/send")
    assert json.loads(request.body) == {"to": "ann@example.com", "subject": "Grüße", "body": "Text"}
    assert "idempotency-key" not in request.headers


def test_the_api_gets_the_key_of_the_mail(api: Outside) -> None:
    mail.send("ann@example.com", "Hello", "Text", key="root-1")
    assert api.requests[0].headers["idempotency-key"] == "root-1"


def test_html_and_attachments_go_along(api: Outside) -> None:
    message = EmailMultiAlternatives("Report", "Text", to=["ann@example.com"])
    message.attach_alternative("<p>Text</p>", "text/html")
    message.attach("week.csv", "a,b", "text/csv")
    mail.deliver(message)
    posted = json.loads(api.requests[0].body)
    assert posted["html"] == "<p>Text</p>"
    [part] = posted["attachments"]
    assert (part["name"], part["type"], base64.b64decode(part["content"])) == ("week.csv", "text/csv", b"a,b")


@pytest.mark.parametrize("breaking", ["\n", "\r\n", "\r", "\u2028", "\0", "\x0b"])
def test_a_line_break_in_subject_or_recipient_is_refused(api: Outside, breaking: str) -> None:
    with pytest.raises(mail.HeaderRefused, match="subject"):
        mail.send("ann@example.com", f"Hello{breaking}Bcc: all@example.com", "Text")
    with pytest.raises(mail.HeaderRefused, match="to"):
        mail.send(f"ann@example.com{breaking}Bcc: all@example.com", "Hello", "Text")
    assert api.requests == []


def test_a_mail_without_a_recipient_is_refused() -> None:
    with pytest.raises(TaskFailure, match="recipient"):
        mail.send(" ", "Hello", "Text")


@pytest.mark.parametrize("status", [400, 401, 422, 429, 500, 503])
def test_an_api_that_answers_an_error_is_worth_another_try(api: Outside, status: int) -> None:
    api.answer = lambda request: Reply(status=status)
    with pytest.raises(mail.PASSING_ERRORS):
        mail.send("ann@example.com", "Hello", "Text")


def test_what_an_api_says_when_it_refuses_the_mail_is_told(api: Outside) -> None:
    api.answer = lambda request: Reply(b"no such domain", status=422)
    with pytest.raises(outbound.RequestRefused, match="no such domain"):
        mail.send("ann@example.com", "Hello", "Text")


def test_an_api_that_is_away_is_worth_another_try(settings: Any) -> None:
    with outside() as gone:
        settings.MAIL_API_URL = gone.url()
    settings.EMAIL_BACKEND = "jobs.work.mail.ApiMailBackend"
    with pytest.raises(httpx.ConnectError):
        mail.send("ann@example.com", "Hello", "Text")


def test_a_mail_server_that_is_away_is_worth_another_try(settings: Any) -> None:
    with outside() as gone:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", gone.port
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with pytest.raises(mail.PASSING_ERRORS):
        mail.send("ann@example.com", "Hello", "Text")
