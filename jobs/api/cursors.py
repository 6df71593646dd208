"""Pages by keyset: each starts where the one before ended, whatever came in between."""

import base64
import binascii
import json
from typing import Any

from django.db.models import IntegerField, Q, QuerySet
from pydantic import TypeAdapter, ValidationError

from jobs.api.problems import Problem
from jobs.api.schemas import Moment, Text

LARGEST_KEY = 2**63
PLACE: TypeAdapter[Any] = TypeAdapter(tuple[Moment, Text])


def page(rows: QuerySet[Any], cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
    """The rows from the cursor on, newest first, and the cursor of the next page (None after the last).

    Rows that the database numbers are ordered by their number alone, others by (created_at, key).
    """
    numbered = isinstance(rows.model._meta.pk, IntegerField)
    if cursor:
        rows = rows.filter(_below(_read(cursor), numbered))
    found = list(rows.order_by(*(["-pk"] if numbered else ["-created_at", "-pk"]))[: limit + 1])
    return found[:limit], _written(found[limit - 1], numbered) if len(found) > limit else None


def _below(place: Any, numbered: bool) -> Q:
    match place:
        case [int(number)] if numbered and 0 <= number < LARGEST_KEY:
            return Q(pk__lt=number)
        case [str(), str()] if not numbered and (row := _place(place)):
            moment, key = row
            return Q(created_at__lt=moment) | Q(created_at=moment, pk__lt=key)
    raise Problem(422, "Take cursors from `next`.", [{"loc": ["query", "cursor"], "msg": "Not a cursor"}])


def _written(row: Any, numbered: bool) -> str:
    place = json.dumps([row.pk] if numbered else [row.created_at.isoformat(), row.pk])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read(cursor: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None


def _place(given: list[str]) -> Any:
    """(created_at, key), if a row can have them."""
    try:
        return PLACE.validate_python(given)
    except ValidationError:
        return None
