"""What was measured of one side, and how it is told."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.statements import Statements


@dataclass
class Lateness:
    """From tick to rung: (tick, seconds) of each job that came, and how many did not."""

    of: list[tuple[float, float]] = field(default_factory=list)
    missing: int = 0

    def mark(self, percent: float) -> float:
        """A percentile; 100 is the largest."""
        return percentile((late for _, late in self.of), percent)

    def rounds(self, title: str) -> list[str]:
        """A line for each second in which ticks were."""
        seconds: dict[int, list[float]] = defaultdict(list)
        for tick, late in self.of:
            seconds[int(tick)].append(late)
        return [
            f"{time.strftime('%H:%M:%S', time.gmtime(second))} {title}: {len(lates)} jobs, "
            + ", ".join(f"{name} {percentile(lates, percent):.3f} s" for name, percent in MARKS.items())
            for second, lates in sorted(seconds.items())
        ]


MARKS = {"p50": 50, "p99": 99, "max": 100}


def percentile(values: Iterable[float], percent: float) -> float:
    """0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


@dataclass
class Measured:
    """Seconds, statements a second, bytes."""

    start: float = 0.0
    start_again: float = 0.0
    #: By how it was made; None: not seen in time.
    edits: dict[str, float | None] = field(default_factory=dict)
    memory: int = 0
    statements: Statements = field(default_factory=lambda: Statements(0, 0, []))
    lateness: dict[str, Lateness] = field(default_factory=dict)

    def late(self, percent: float) -> float:
        """The worst of the kinds."""
        return max(lateness.mark(percent) for lateness in self.lateness.values())

    def rows(self) -> dict[str, float]:
        """The table, by label."""
        told = {
            f"tick to rung, {kind}: {name} (s)": lateness.mark(percent)
            for kind, lateness in self.lateness.items()
            for name, percent in MARKS.items()
        }
        told["idle: statements a second of the scheduler"] = self.statements.ticking
        told["idle: statements a second of beat as a whole"] = self.statements.all
        told["first start: until a tick of every second (s)"] = self.start
        told["started again: until a tick of every second (s)"] = self.start_again
        told |= {f"edit by {how}: until its first job (s)": s for how, s in self.edits.items() if s is not None}
        return told | {"memory (MB)": self.memory / 1e6}

    def remarks(self) -> list[str]:
        """What the table has no room for, a line each."""
        rounds = [line for kind, lateness in self.lateness.items() for line in lateness.rounds(kind)]
        missing = [f"{late.missing} jobs never came ({kind})" for kind, late in self.lateness.items() if late.missing]
        unseen = [f"an edit by {how} was not seen in time" for how, seconds in self.edits.items() if seconds is None]
        return [*rounds, *missing, *unseen, *(f"idle: {count} x {words}" for words, count in self.statements.said)]
