"""Take schedules in hand: lock them against everybody else, and read all that belongs to them."""

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db import DatabaseError, InterfaceError, connections
from django_celery_beat.models import PeriodicTask

from jobs.lifecycle.moment import now
from jobs.models import ScheduleEdit, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.schedules.reading import fingerprint
from jobs.schedules.rows import readable
from jobs.ticking.ahead import Built

logger = logging.getLogger(__name__)


@dataclass
class Turn:
    """One schedule in hand: what the database has, and what becomes of it."""

    row: PeriodicTask
    #: As the database has it; None: beat has never read this schedule.
    kept: ScheduleStanding | None
    edits: list[ScheduleEdit]
    now: datetime
    standing: ScheduleStanding = field(init=False)
    #: The standing after the edits, before any tick.
    renewed: ScheduleStanding | None = None
    #: The job of its next tick, if it was built before.
    built: Built | None = None
    #: Ticks to write, and how many jobs they enqueue.
    ticks: list[ScheduleTick] = field(default_factory=list)
    ran: int = 0
    #: It has had its only run, or it has expired: the row is disabled.
    over: bool = False

    def __post_init__(self) -> None:
        """The standing to be begins as the one that is."""
        if found := self.renewed or self.kept:
            self.standing = copy(found)
        else:
            new = {"name": self.row.name, "anchor": self.now, "position": self.now}
            self.standing = ScheduleStanding(schedule_id=self.row.pk, **new)

    @cached_property
    def policy(self) -> SchedulePolicy:
        """Its policy, or the defaults."""
        found: SchedulePolicy | None = getattr(self.row, "policy", None)
        return found or SchedulePolicy()

    @cached_property
    def timing(self) -> str:
        """The timing as text."""
        return fingerprint(self.row)

    def start_again(self) -> None:
        """Forget what became of its ticks so far."""
        self.ticks, self.ran, self.over = [], 0, False
        self.__post_init__()


@dataclass
class Taken:
    """What was taken in hand; who is gone; whom somebody else has locked, who is to be tried again."""

    now: datetime
    turns: list[Turn]
    gone: list[int]
    locked: list[int]
    #: Rows that can't even be read, with the reason.
    unreadable: dict[int, str] = field(default_factory=dict)


def take(ids: Sequence[int], using: str) -> Taken:
    """Lock and read these schedules, inside a transaction; nobody's lock is waited for."""
    held, at = _lock(ids, using)
    edits = list(ScheduleEdit.objects.using(using).filter(schedule_id__in=ids).order_by("id"))
    rows, unreadable = _read(held, using)
    turns = [
        Turn(row, getattr(row, "standing", None), [edit for edit in edits if edit.schedule_id == row.pk], at)
        for row in rows
    ]
    free = set(ids) - set(held)
    locked = set(PeriodicTask.objects.using(using).filter(pk__in=free).values_list("pk", flat=True)) if free else set()
    return Taken(at, turns, sorted(free - locked), sorted(locked), unreadable)


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
