"""Effects that must not happen twice, whatever breaks between an attempt and the next."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connections, router, transaction

from jobs import lifecycle
from jobs.errors import JobError
from jobs.ledger.current import claim
from jobs.lifecycle.moment import moment
from jobs.messages import dumps, loads, storable
from jobs.models import Effect

LONGEST = 255


class KeyRefused(JobError):
    """A key that no row can have."""

    def __init__(self, key: object) -> None:
        self.key = key
        shown = repr(key) if len(repr(key)) <= LONGEST else f"{repr(key)[:LONGEST]}..."
        super().__init__(f"The key of an effect is text of 1 to {LONGEST} characters without NUL, not {shown}.")


class ValueRefused(JobError):
    """What an effect returned can't be kept, so the effect was undone."""

    def __init__(self, key: str, why: str) -> None:
        self.key = key
        super().__init__(
            f"The effect {key!r} returned what JSON can't hold ({why}), and was undone. Return text, numbers, lists, "
            "dicts or None: the next call with this key gets it."
        )


def once(key: str, effect: Callable[[], Any]) -> Any:
    """What `effect()` returned when it was done under this key: now, or at an earlier call that committed.

    `once(f"invoice:{order_id}", lambda: book(order_id))` runs `book` in one transaction with a unique row that keeps
    its value, as JSON. Whatever comes again (a retry, a requeue, the job posted twice, a rescued job whose worker had
    lived on) gets that value, and the job counts one duplicate prevented. Two at the same moment: the second waits
    until the first has committed. An effect that raises leaves nothing. In a transaction of the caller's it joins it.

    It takes a function, where `with once(key) as first` could not skip its body: an `if first` that is forgotten
    would be the second charge, and what the first one returned would be nobody's.

    `effect` writes to the database and nothing else. What an outside service does can't be undone, and no transaction
    may stay open while it answers: call it before, with `idempotency_key()`, and record its answer once.
    """
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST or storable(key) != key:
        raise KeyRefused(key)
    using = router.db_for_write(Effect)
    with transaction.atomic(using=using):
        first = _reserve(key, using)
        text = _keep(key, effect(), using) if first else Effect.objects.using(using).get(key=key).value
    if not first:
        report_duplicate()
    return loads(text)


def report_duplicate() -> None:
    """Count a duplicate that was prevented on the running job; `once` does, and a task whose outside service did."""
    if held := claim():
        count = partial(lifecycle.count_duplicate, held.id, held.token, using=held.using)
        # After the caller's transaction, so that it holds no lock on the job; and never worth failing for.
        transaction.on_commit(count, using=held.using, robust=True)


def idempotency_key() -> str:
    """What outside services get as key of the running job: its root id, the same over retries, rescues and requeues,
    edited ones too. A call outside a worker is a request of its own: a new key."""
    held = claim()
    return held.root_job_id if held else str(uuid.uuid4())


def _reserve(key: str, using: str) -> bool:
    """Whether this is the first: the row is inserted, not committed. Another's uncommitted row is waited for."""
    held = claim()
    now, at = moment(using)
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_effect (key, job_id, value, made_at) VALUES (%s, %s, 'null', {now}) "
            "ON CONFLICT (key) DO NOTHING",
            [key, held.id if held else None, *at],
        )
        return bool(cursor.rowcount)


def _keep(key: str, value: Any, using: str) -> str:
    """The value as JSON text, in the effect's row."""
    try:
        text = dumps(value)
        loads(text)
    except Exception as error:
        raise ValueRefused(key, str(error)) from error
    Effect.objects.using(using).filter(key=key).update(value=text)
    return text
