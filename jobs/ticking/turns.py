"""A turn: one schedule in hand, what the database has of it, and what becomes of it."""

from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django_celery_beat.models import PeriodicTask

from jobs.models import Job, ScheduleEdit, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.schedules.reading import fingerprint


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
    #: Ticks to write, and how many jobs they enqueue.
    ticks: list[ScheduleTick] = field(default_factory=list)
    ran: int = 0
    #: The job of its tick, when it was prepared.
    job: Job | None = None
    #: Some of its missed ticks are left for the next turn.
    more: bool = False
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
        self.ticks, self.ran, self.more, self.over = [], 0, False, False
        self.__post_init__()
