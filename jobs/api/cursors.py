"""Pages by keyset: each starts where the one before ended, whatever came in between."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from jobs.api.problems import Problem


def page(rows: QuerySet[Any], cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
    """The rows from the cursor on, newest first, and the cursor of the next page (None after the last)."""
    if cursor:
        at, key = _read(cursor)
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=key))
    found = list(rows.order_by("-created_at", "-pk")[: limit + 1])
    items = found[:limit]
    return items, _written(items[-1]) if len(found) > limit else None


def _written(row: Any) -> str:
    place = json.dumps([row.created_at.isoformat(), row.pk])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[datetime, Any]:
    try:
        at, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(at)
    except (ValueError, TypeError, binascii.Error):
        moment, key = None, None
    if moment is None or moment.tzinfo is None or isinstance(key, bool) or not isinstance(key, str | int):
        raise Problem(422, "Take cursors from `next`.", [{"loc": ["query", "cursor"], "msg": "Not a cursor"}])
    return moment, key
