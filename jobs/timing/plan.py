"""Which ticks of a schedule are due and what becomes of each: one pure function for beat, previews and tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice, takewhile
from typing import Protocol
from zoneinfo import ZoneInfo

from jobs.policies import Missed, Outcome, Overlap, Why
from jobs.timing.every import Every

#: The least step between two moments: (after, until] is what comes from after + INSTANT on.
INSTANT = timedelta(microseconds=1)
#: Beat comes to a tick some milliseconds after it: so long after its end a schedule's last tick still runs.
AT_ITS_TIME = timedelta(seconds=1)
#: So many missed ticks run together at most, whatever the policy says.
MOST_TOGETHER = 10_000
#: Why those looked at together with the last one, and not too late, don't run.
NOT_THE_LAST = {Missed.SKIP: Why.MISSED, Missed.ONCE: Why.REPLACED, Missed.ALL: Why.LIMIT}


class Timing(Protocol):
    """When a schedule ticks: `Cron`, `Every`, `Once` or `Sun`. Pure; takes any aware moment, ticks are in UTC.

    Not in its own zone: Python compares two times of one zone by the wall clock, and a clock shows an hour twice.
    """

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

    def __post_init__(self) -> None:
        if self.missed == Missed.SKIP and self.max_lateness is None:
            raise ValueError("With skip, max_lateness must say how late a tick is still on time.")


@dataclass(frozen=True)
class Outage:
    """Nobody kept ticks from `since` on and before `until`; those of the time in between are looked at then."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class Tick:
    """One planned time, or several skipped together, and what becomes of it. Times are in UTC."""

    #: The planned time; of several skipped together the last one.
    at: datetime
    outcome: Outcome
    why: Why = Why.NONE
    #: When it is looked at: its time, or the end of the outage around it.
    kept_at: datetime | None = None
    #: When its job may start: `kept_at`, or later by jitter; None for a skipped one.
    run_at: datetime | None = None
    #: The first of several that are skipped together, and how many they are.
    first: datetime | None = None
    count: int = 1


def plan(
    schedule: Schedule, policy: Policy, after: datetime, until: datetime | None, outages: Sequence[Outage] = ()
) -> Iterator[Tick]:
    """Each tick in (after, until] and what becomes of it, in order of time, drawn one by one; `until` None: no end.

    A tick in an outage that ends after `until` is not decided yet, and not among them.
    """
    position = _in_utc(after)
    if schedule.start:
        position = max(position, _in_utc(schedule.start) - INSTANT)
    ticks = _Planner(schedule, policy).ticks(position, until and _in_utc(until), _merged(outages))
    return _until_one_runs(ticks) if schedule.one_off else ticks


class _Planner:
    """A schedule and its policy, asked about one span of time after another."""

    def __init__(self, schedule: Schedule, policy: Policy) -> None:
        self.policy, self.key = policy, schedule.key
        self.timing = _counted_from_start(schedule)
        self.end = schedule.end and _in_utc(schedule.end)

    def ticks(self, position: datetime, until: datetime | None, outages: list[Outage]) -> Iterator[Tick]:
        for outage in outages:
            if outage.until <= position:
                continue
            if until and outage.until > until:
                until = min(until, outage.since - INSTANT)
                break
            before = max(position, outage.since - INSTANT)
            yield from self.kept(position, before)
            yield from self.looked_at(before, outage.until)
            position = outage.until
        yield from self.kept(position, until)

    def kept(self, after: datetime, until: datetime | None) -> Iterator[Tick]:
        """Ticks in (after, until], each looked at at its own time: all run."""
        last = min((moment for moment in (until, self.end) if moment), default=None)
        if last and last <= after:
            return
        for at in self.timing.after(after):
            if last and at > last:
                return
            yield self.run(at, at)

    def looked_at(self, after: datetime, moment: datetime) -> Iterator[Tick]:
        """Ticks in (after, moment], all looked at at `moment`: the last may run, the earlier ones are skipped."""
        until = min(moment, self.end) if self.end else moment
        if until < moment - AT_ITS_TIME:
            yield from self.skipped(after, until, moment, Why.ENDED)
            return
        too_late = min(until, max(after, self.too_late(after, moment)))
        that_run = self.last_ones(too_late, until)
        before_them = that_run[0] - INSTANT if that_run else until
        late_until = after if self.policy.missed == Missed.SKIP else too_late  # skip has one reason for both
        yield from self.skipped(after, late_until, moment, Why.LATE)
        yield from self.skipped(late_until, before_them, moment, NOT_THE_LAST[self.policy.missed])
        yield from (self.run(at, moment) for at in that_run)

    def too_late(self, after: datetime, moment: datetime) -> datetime:
        """The last moment of a tick that is too late at `moment`."""
        if self.policy.max_lateness is None:
            return after
        return moment - timedelta(seconds=self.policy.max_lateness) - INSTANT

    def last_ones(self, after: datetime, until: datetime) -> list[datetime]:
        """The last ticks in (after, until], as many as may run together, the earliest first."""
        number = min(self.policy.missed_limit, MOST_TOGETHER) if self.policy.missed == Missed.ALL else 1
        return list(islice(takewhile(lambda at: at > after, self.timing.before(until)), number))[::-1]

    def run(self, at: datetime, kept_at: datetime) -> Tick:
        return Tick(at, Outcome.RUN, kept_at=kept_at, run_at=max(kept_at, at + self.offset(at)))

    def skipped(self, after: datetime, until: datetime, kept_at: datetime, why: Why) -> Iterator[Tick]:
        """Ticks in (after, until] as one; none when there is none."""
        count = self.timing.count(after, until) if after < until else 0
        if count:
            first = next(self.timing.after(after)) if count > 1 else None
            yield Tick(next(self.timing.before(until)), Outcome.SKIPPED, why, kept_at, first=first, count=count)

    def offset(self, at: datetime) -> timedelta:
        """Jitter: the same for the same tick of the same schedule."""
        if not self.policy.jitter:
            return timedelta()
        digest = blake2b(f"{self.key} {at.isoformat()}".encode(), digest_size=8).digest()
        return timedelta(seconds=self.policy.jitter * int.from_bytes(digest) / 2**64)


def _counted_from_start(schedule: Schedule) -> Timing:
    """An interval with a start counts from it, and it is the first tick."""
    if schedule.start and isinstance(schedule.timing, Every):
        return schedule.timing.counted_from(schedule.start)
    return schedule.timing


def _until_one_runs(ticks: Iterator[Tick]) -> Iterator[Tick]:
    for tick in ticks:
        yield tick
        if tick.outcome == Outcome.RUN:
            return


def _merged(outages: Sequence[Outage]) -> list[Outage]:
    """In order and in UTC, those that overlap or touch as one, without empty ones."""
    merged: list[Outage] = []
    for outage in sorted((_in_utc(one.since), _in_utc(one.until)) for one in outages if one.since < one.until):
        since, until = outage
        if merged and since <= merged[-1].until:
            merged[-1] = Outage(merged[-1].since, max(until, merged[-1].until))
        else:
            merged.append(Outage(since, until))
    return merged


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
