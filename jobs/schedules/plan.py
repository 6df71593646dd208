"""Which ticks of a schedule are due and what becomes of each: one pure function for beat, previews and tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from jobs.policies import Missed, Outcome, Overlap, Why


class Timing(Protocol):
    """When a schedule ticks: `Cron`, `Every`, `Once` or `Sun`. Pure; times are aware, in its own zone."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone that its ticks are told in."""

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Ticks later than `moment`, the earliest first, drawn one by one; ends when there will be no more."""

    def before(self, moment: datetime) -> Iterator[datetime]:
        """Ticks at or before `moment`, the latest first, drawn one by one."""

    def count(self, after: datetime, until: datetime) -> int:
        """Ticks in (after, until], without drawing each."""


@dataclass(frozen=True)
class Schedule:
    """What is planned: a timing, from when, until when, and whether for one tick only."""

    timing: Timing
    #: No tick before it; an interval counts from it.
    start: datetime | None = None
    #: No tick after it, and none runs after it.
    end: datetime | None = None
    #: One tick only.
    one_off: bool = False
    #: What jitter is drawn from, beside the tick: the schedule's key.
    key: str = ""


@dataclass(frozen=True)
class Policy:
    """What becomes of missed ticks. Seconds; `max_lateness` None: any (skip: must be given)."""

    missed: Missed = Missed.ONCE
    missed_limit: int = 10
    max_lateness: float | None = None
    jitter: float = 0
    overlap: Overlap = Overlap.ALLOW


@dataclass(frozen=True)
class Outage:
    """Nobody kept ticks from `since` on and before `until`; those of the time in between are looked at then."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class Tick:
    """One planned time, or several skipped together, and what becomes of it."""

    #: The planned time; of several skipped together the last one.
    at: datetime
    outcome: Outcome
    why: Why = Why.NONE
    #: When it is looked at: its time, or the end of the outage around it.
    kept_at: datetime | None = None
    #: When its job may start: `kept_at`, or later by jitter; None for a skipped one.
    run_at: datetime | None = None
    #: The first of those skipped together, and how many they are.
    first: datetime | None = None
    count: int = 1
