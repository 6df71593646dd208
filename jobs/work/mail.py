"""Mail: one sending function, and a Django backend that posts to a mail API."""

import base64
import re
from collections.abc import Sequence
from email.message import Message
from typing import Any

import httpx
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend

from jobs.errors import TaskFailure
from jobs.work import outbound

#: Seconds for a call of the mail API.
TIMEOUT = 10
KEY_HEADER = "Idempotency-Key"
#: What HTTP and SMTP raise when another try may do (SMTPException is an OSError).
PASSING_ERRORS = (httpx.HTTPError, OSError)
_LINE_BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029\0]")


class HeaderRefused(TaskFailure):
    """A header value with a line break in it: someone tries to add headers of his own."""

    def __init__(self, header: str) -> None:
        self.header = header
        super().__init__(header)

    def __str__(self) -> str:
        return f"The {self.header!r} of a mail must be one line of text."


def send(to: str, subject: str, body: str, *, key: str = "") -> dict[str, str]:
    """Sends a plain text mail; the provider gets `key` to know a second delivery by."""
    return deliver(EmailMessage(subject, body, to=[to]), key=key)


def deliver(message: EmailMessage, *, key: str = "") -> dict[str, str]:
    """Sends a mail to its one recipient; HeaderRefused for line breaks, PASSING_ERRORS if another try may do."""
    (to,) = message.to
    for header, value in (("to", to), ("subject", message.subject)):
        if _LINE_BREAKS.search(str(value)):
            raise HeaderRefused(header)
    if not to.strip():
        raise TaskFailure("A mail needs a recipient: 'to' is empty.")
    if key:
        message.extra_headers[KEY_HEADER] = key
    message.send()
    return {"status": "sent", "to": to}


class ApiMailBackend(BaseEmailBackend):
    """Posts each mail as JSON {to, subject, body} to MAIL_API_URL; html and attachments are added where there are."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        url = outbound.checked_url(settings.MAIL_API_URL)
        with outbound.client(TIMEOUT, allowed=[url.host]) as http:
            for message in email_messages:
                key = message.extra_headers.get(KEY_HEADER, "")
                headers = {KEY_HEADER: key} if key else {}
                outbound.accepted(http.post(url, json=_posted(message), headers=headers))
        return len(email_messages)


def _posted(message: EmailMessage) -> dict[str, Any]:
    posted: dict[str, Any] = {
        "to": ", ".join(message.recipients()),
        "subject": str(message.subject),
        "body": str(message.body),
    }
    if isinstance(message, EmailMultiAlternatives) and message.alternatives:
        posted["html"] = str(message.alternatives[0][0])
    if message.attachments:
        posted["attachments"] = [_attached(part) for part in message.attachments]
    return posted


def _attached(part: Any) -> dict[str, str]:
    """A MIME part, or Django's (name, content, type), as JSON with base64 content."""
    if isinstance(part, Message):
        name, kind, content = part.get_filename() or "", part.get_content_type(), part.get_payload(decode=True)
        cid = (part["Content-ID"] or "").strip("<>")
    else:
        (name, content, kind), cid = part, ""
    raw = content.encode() if isinstance(content, str) else bytes(content or b"")
    return {"name": name, "type": kind or "", "content": base64.b64encode(raw).decode(), "cid": cid}
