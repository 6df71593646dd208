"""What the person reads at the end: fault by fault, how often and how soon all was well again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from jobs.drill.drill import Outcome
from jobs.drill.journal import Entry

COLUMNS = ("fault", "times", "jobs_struck", "flow_median", "flow_max", "struck_median", "struck_max", "overdue")


@dataclass
class Strike:
    """One fault as the journal tells it; times in seconds since it was mended."""

    name: str
    at: float
    mended: float = 0
    struck: set[str] = field(default_factory=set)
    #: Until a job that began afterwards ended.
    flow: float | None = None
    #: Until the last job ended that ran when it struck.
    last: float | None = None
    #: Not well again within `striking.patience()`.
    overdue: bool = False
    #: There was nothing to strike.
    void: bool = False


def strikes(entries: Sequence[Entry]) -> list[Strike]:
    """Every fault that was made and mended, in order; not those that found nothing to strike."""
    found: dict[str, Strike] = {}
    for entry in entries:
        if entry.event == "strike":
            found[entry.words[0]] = Strike(entry.words[1].replace("_", " "), entry.at)
        elif entry.event == "mended":
            strike = found[entry.words[0]]
            strike.mended, strike.struck = entry.at, set(entry.words[1].split(",")) - {"-"}
        elif entry.event == "void":
            found[entry.words[0]].void = True
        elif entry.event == "overdue":
            found[entry.words[0]].overdue = True
    over = [strike for strike in found.values() if strike.mended and not strike.void]
    for strike in over:
        _measure(strike, entries)
    return over


def table(outcome: Outcome) -> list[dict[str, Any]]:
    """A row for each kind of fault."""
    made = strikes(outcome.entries)
    names = sorted({strike.name for strike in made})
    return [_row(name, [strike for strike in made if strike.name == name]) for name in names]


def revived(outcome: Outcome) -> dict[str, int]:
    """How often a process ended by itself and had to be started again."""
    return dict(Counter(entry.words[0] for entry in outcome.entries if entry.event == "revived"))


def facts(outcome: Outcome) -> dict[str, Any]:
    """The whole report as JSON has it."""
    verdict = outcome.verdict
    return {
        "run": outcome.run,
        "seed": outcome.seed,
        "accepted": verdict.accepted,
        "states": verdict.states,
        "ran_again": verdict.again,
        "given_up": verdict.given_up,
        "faults": table(outcome),
        "revived": revived(outcome),
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "unfinished": verdict.unfinished,
        "verdict": str(verdict),
        "journal": str(outcome.journal.path),
    }


def _measure(strike: Strike, entries: Sequence[Entry]) -> None:
    fresh: set[str] = set()
    for entry in entries:
        if entry.event == "start" and entry.at >= strike.mended:
            fresh.add(entry.words[2])
        elif entry.event == "end":
            if strike.flow is None and entry.words[2] in fresh:
                strike.flow = entry.at - strike.mended
            if entry.words[0] in strike.struck and entry.at > strike.at:
                strike.last = max(0.0, entry.at - strike.mended)


def _row(name: str, made: Sequence[Strike]) -> dict[str, Any]:
    flows = [strike.flow for strike in made if strike.flow is not None]
    lasts = [strike.last for strike in made if strike.last is not None]
    struck, overdue = sum(len(strike.struck) for strike in made), sum(strike.overdue for strike in made)
    return dict(zip(COLUMNS, (name, len(made), struck, *_spread(flows), *_spread(lasts), overdue), strict=True))


def _spread(seconds: Sequence[float]) -> tuple[float | None, float | None]:
    return (round(median(seconds), 1), round(max(seconds), 1)) if seconds else (None, None)
