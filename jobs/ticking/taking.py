"""Take schedules in hand: lock them against everybody else, and read all that belongs to them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DatabaseError, InterfaceError, connections
from django_celery_beat.models import PeriodicTask

from jobs.lifecycle.moment import now
from jobs.models import ScheduleEdit
from jobs.schedules.rows import readable
from jobs.ticking.ahead import Prepared, unchanged
from jobs.ticking.turns import Turn

logger = logging.getLogger(__name__)
#: Unread edits that are read together: a script may leave any number while no beat runs.
MOST_EDITS = 2000


@dataclass
class Taken:
    """What was taken in hand; who is gone; whom somebody else has locked, who is to be tried again."""

    now: datetime
    #: Those to be settled, and those that were prepared: all but the writing is done.
    turns: list[Turn]
    ready: list[Turn]
    gone: list[int]
    locked: list[int]
    #: Rows that can't even be read, with the reason.
    unreadable: dict[int, str] = field(default_factory=dict)


def take(ids: Sequence[int], using: str, prepared: Mapping[int, Prepared]) -> Taken:
    """Lock and read these schedules, inside a transaction; nobody's lock is waited for."""
    held, at = _lock(ids, using)
    ready = {one.row.pk: one.turn(at) for one in unchanged(held, prepared, at, using)}
    turns, unreadable = _turns([schedule for schedule in ids if schedule not in ready], held, at, using)
    free = set(ids) - set(held)
    locked = set(PeriodicTask.objects.using(using).filter(pk__in=free).values_list("pk", flat=True)) if free else set()
    return Taken(at, turns, list(ready.values()), sorted(free - locked), sorted(locked), unreadable)


def _turns(ids: Sequence[int], held: Sequence[int], at: datetime, using: str) -> tuple[list[Turn], dict[int, str]]:
    """The edits are read first: what is done meanwhile is seen in a row, and its edit is read later."""
    if not ids:
        return [], {}
    edits: dict[int, list[ScheduleEdit]] = {}
    for edit in ScheduleEdit.objects.using(using).filter(schedule_id__in=ids).order_by("id")[:MOST_EDITS]:
        edits.setdefault(edit.schedule_id, []).append(edit)
    rows, unreadable = _read([schedule for schedule in held if schedule in set(ids)], using)
    return [Turn(row, getattr(row, "standing", None), edits.get(row.pk, []), at) for row in rows], unreadable


def _lock(ids: Sequence[int], using: str) -> tuple[list[int], datetime]:
    """Those that nobody else has in hand, in one order, and the database's time. (SQLite: the transaction locks.)"""
    if connections[using].vendor != "postgresql":
        found = PeriodicTask.objects.using(using).filter(pk__in=ids).order_by("pk")
        return list(found.values_list("pk", flat=True)), now(using)
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT id, clock_timestamp() FROM django_celery_beat_periodictask WHERE id = ANY(%s) ORDER BY id "
            "FOR NO KEY UPDATE SKIP LOCKED",
            [list(ids)],
        )
        found = cursor.fetchall()
    return [row[0] for row in found], max((row[1] for row in found), default=None) or now(using)


def _read(ids: Sequence[int], using: str) -> tuple[list[PeriodicTask], dict[int, str]]:
    """The rows; one by one when one of them can't be read."""
    rows = readable(PeriodicTask.objects.using(using).filter(pk__in=ids).order_by("pk"))
    try:
        return list(rows), {}
    except (DatabaseError, InterfaceError):
        raise
    except Exception:  # noqa: BLE001  whatever one of them holds
        found, unreadable = [], {}
        for schedule in ids:
            try:
                found.append(rows.get(pk=schedule))
            except (DatabaseError, InterfaceError):
                raise
            except Exception as error:  # noqa: BLE001  whatever a column holds that nobody can read is the reason
                unreadable[schedule] = f"Its row can't be read: {error}. Mend it with SQL, or delete it."
        return found, unreadable
