"""Dead letters as the API and the commands show them; secrets hidden from those who may not see them."""

from typing import Any

from dlq.models import DeadLetter
from jobs.api.answers import arguments_of, shown, shown_text


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
        "message": shown_text(letter.message, letter.task, args, kwargs, unredacted=unredacted),
        "fingerprint": letter.fingerprint,
        "status": letter.status,
        "created_at": letter.created_at,
        "closed_at": letter.closed_at,
        "closed_by": letter.closed_by,
        "close_reason": letter.close_reason,
        "replaced_by": letter.replaced_by_id,
    }
