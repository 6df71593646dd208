"""All schedules are compared with where they stand, some at a time: what no trigger told is found here."""

import time
from collections.abc import Iterator
from datetime import timedelta

from django.db import DatabaseError, InterfaceError
from django.db.models import Exists, OuterRef, Q
from django_celery_beat.models import PeriodicTask

from jobs.conf import conf
from jobs.lifecycle.moment import now
from jobs.models import ScheduleStanding
from jobs.schedules.reading import fingerprint
from jobs.schedules.rows import readable


class Rereading:
    """One round after another, each in steps; a new lead begins with one."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.due = 0.0
        self._under_way: Iterator[list[int]] | None = None

    @property
    def is_due(self) -> bool:
        return self._under_way is not None or time.monotonic() >= self.due

    def step(self) -> list[int]:
        """Some schedules that stand otherwise than their rows or the time say; none when the round has ended."""
        if self._under_way is None:
            self.due, self._under_way = time.monotonic() + conf().reread_every, self._round()
        found = next(self._under_way, None)
        if found is None:
            self._under_way = None
        return found or []

    def _round(self) -> Iterator[list[int]]:
        yield self._out_of_this_world()
        last = 0
        while ids := self._ids_after(last):
            last = ids[-1]
            yield self._differing(ids)

    def _out_of_this_world(self) -> list[int]:
        """Whose row is gone, and who stands in the future: the database's clock was put back."""
        rows = PeriodicTask.objects.filter(pk=OuterRef("schedule_id"))
        future = now(self.using) + timedelta(seconds=conf().late_after)
        found = ScheduleStanding.objects.using(self.using).filter(~Exists(rows) | Q(position__gt=future))
        return list(found.values_list("schedule_id", flat=True))

    def _ids_after(self, last: int) -> list[int]:
        rows = PeriodicTask.objects.using(self.using).filter(pk__gt=last).order_by("pk")
        return list(rows.values_list("pk", flat=True)[: conf().ticks_together])

    def _differing(self, ids: list[int]) -> list[int]:
        """All of them, if one can't be read."""
        try:
            rows = list(readable(PeriodicTask.objects.using(self.using).filter(pk__in=ids)))
        except (DatabaseError, InterfaceError):
            raise
        except Exception:  # noqa: BLE001  whatever one of them holds
            return ids
        return [row.pk for row in rows if differs(row)]


def differs(row: PeriodicTask) -> bool:
    """Whether it stands otherwise than its row says: nobody told of an edit, or beat has not read it yet."""
    standing: ScheduleStanding | None = getattr(row, "standing", None)
    if standing is None:
        return True
    is_armed = standing.armed_at is not None
    return standing.name != row.name or is_armed != row.enabled or standing.timing != fingerprint(row)
