"""Contacts copied from an outside source."""

import json
from typing import Any

from django.utils import timezone

from jobs.errors import TaskFailure
from jobs.work import outbound, rows
from jobs.work.models import Contact

#: Seconds for the whole answer.
TIMEOUT = 30
SOURCE_LENGTH = 500


def sync(source_url: str) -> dict[str, Any]:
    """Fetches the rows and adds or renews a contact for each; doing it twice changes nothing."""
    if len(source_url) > SOURCE_LENGTH:
        raise TaskFailure(f"source_url is longer than {SOURCE_LENGTH} characters.")
    body = outbound.get(source_url, timeout=TIMEOUT).body
    found = rows.by_id(source_url, rows.parsed(source_url, body))
    Contact.objects.bulk_create(
        [_contact(source_url, key, row) for key, row in found.items()],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["source", "external_id"],
        update_fields=["name", "email", "row", "synced_at"],
    )
    return {"synced": len(found), "source": source_url}


def _contact(source: str, key: str, row: dict[str, Any]) -> Contact:
    return Contact(
        source=source,
        external_id=key,
        name=rows.text(row, "name"),
        email=rows.text(row, "email"),
        row=json.dumps(row),
        synced_at=timezone.now(),
    )
