"""Dead letters as the API, the commands and the console show them; secrets hidden from those who may not see them."""

from base64 import b64encode
from typing import Any

from dlq.models import DeadLetter
from jobs.api.answers import arguments_of, shown, shown_text
from jobs.redaction import MASK


def letter_row(letter: DeadLetter, *, unredacted: bool) -> dict[str, Any]:
    """A dead letter as it stands in a list."""
    args, kwargs = arguments_of(letter.body)
    shown_args, shown_kwargs = shown(letter.task, args, kwargs, unredacted=unredacted)
    return {
        "id": letter.pk,
        "task_id": letter.job_id,
        "task": letter.task,
        "queue": letter.queue,
        "args": shown_args,
        "kwargs": shown_kwargs,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "error": letter.error,
        "message": seen_message(letter, unredacted=unredacted),
        "fingerprint": letter.fingerprint,
        "status": letter.status,
        "created_at": letter.created_at,
        "closed_at": letter.closed_at,
        "closed_by": letter.closed_by,
        "close_reason": letter.close_reason,
        "replaced_by": letter.replaced_by_id,
    }


def letter_detail(letter: DeadLetter, *, unredacted: bool) -> dict[str, Any]:
    """A dead letter with its traceback, and the bytes of a message that names no job."""
    trace = shown_text(letter.traceback, letter.task, *arguments_of(letter.body), unredacted=unredacted)
    raw = None if letter.raw is None else seen_raw(bytes(letter.raw), unredacted=unredacted)
    return {**letter_row(letter, unredacted=unredacted), "traceback": trace or None, "raw": raw}


def seen_message(letter: DeadLetter, *, unredacted: bool) -> str:
    """What its end said. Of a message that names no job nobody knows which part is secret, and this may quote it."""
    if letter.job_id is None and letter.message:
        return letter.message if unredacted else MASK
    return shown_text(letter.message, letter.task, *arguments_of(letter.body), unredacted=unredacted)


def seen_raw(raw: bytes, *, unredacted: bool) -> dict[str, Any]:
    """The bytes as text and as base64."""
    seen = {"text": legible(raw), "base64": b64encode(raw).decode()} if unredacted else {"text": MASK, "base64": MASK}
    return {"bytes": len(raw), **seen}


def legible(raw: bytes) -> str:
    """The bytes as text: what is no printable UTF-8 as an escape (`\\xff`, `\\n`), a backslash as two."""
    text = raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
