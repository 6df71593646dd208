"""Who did what, to what, and why: one row for every act of a person, in the transaction of the act."""

from typing import Any

from django.db.models.functions import Now

from jobs.models import Activity


def record(
    by: str, action: str, kind: str, key: str, reason: str = "", *, using: str = "default", **facts: Any
) -> None:
    """`by` did `action` to the `kind` called `key`; `facts` are JSON (counts, before and after), without secrets."""
    Activity.objects.using(using).create(
        at=Now(), by=by[:150], action=action, kind=kind, key=key[:255], reason=reason[:500], facts=facts
    )
