"""An outage drawn as a line of time: what runs, what is skipped, what runs late. Numbers are of the SVG's own units."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from jobs.policies import Outcome
from jobs.timing.plan import Outage, Tick

WIDTH, LEFT, RIGHT = 720, 16, 704
#: How much of the outage's length is drawn before and after it.
BEFORE, AFTER = 0.12, 0.35


@dataclass(frozen=True)
class Mark:
    """One tick: where it was planned, and where it runs (None: skipped)."""

    x: float
    #: Of several skipped together: where the first of them was planned.
    first_x: float | None
    runs_x: float | None
    late: bool
    title: str


@dataclass(frozen=True)
class Timeline:
    """What the template draws."""

    down_x: float
    down_width: float
    marks: Sequence[Mark]
    since: str
    until: str
    summary: str

    @property
    def up_x(self) -> float:
        return self.down_x + self.down_width


def timeline(ticks: Sequence[Tick], outage: Outage, zone: ZoneInfo) -> Timeline:
    """The picture; ticks beyond its right edge are left to the list."""
    length = outage.until - outage.since
    first, last = outage.since - BEFORE * length, outage.until + AFTER * length
    down, up = _x(outage.since, first, last), _x(outage.until, first, last)
    marks = [_mark(tick, first, last, zone) for tick in ticks if tick.at <= last]
    clocks = _clock(outage.since, zone), _clock(outage.until, zone)
    return Timeline(down, round(up - down, 1), marks, *clocks, _summary([t for t in ticks if t.at < outage.until]))


def _summary(missed: Sequence[Tick]) -> str:
    runs = sum(tick.outcome == Outcome.RUN for tick in missed)
    count = sum(tick.count for tick in missed)
    if not count:
        return "No tick falls into this time."
    ticks = "1 tick falls" if count == 1 else f"{count:,} ticks fall"
    return f"{ticks} into this time. Run after it: {runs:,}. Skipped: {count - runs:,}."


def _mark(tick: Tick, first: datetime, last: datetime, zone: ZoneInfo) -> Mark:
    runs = tick.outcome == Outcome.RUN
    kept = tick.kept_at or tick.at
    title = f"{tick.at.astimezone(zone):%H:%M:%S}: " + ("runs" if runs else "skipped")
    several = _x(tick.first, first, last) if tick.first else None
    return Mark(
        _x(tick.at, first, last), several, _x(kept, first, last) if runs else None, runs and kept > tick.at, title
    )


def _x(at: datetime, first: datetime, last: datetime) -> float:
    return round(LEFT + (RIGHT - LEFT) * ((at - first) / max(last - first, timedelta.resolution)), 1)


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%H:%M}"
