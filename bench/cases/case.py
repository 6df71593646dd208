"""A case, and the words that cases tell their findings in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.arrivals import Arrival
from bench.sides import SCALE, Side

CASES: dict[str, "Case"] = {}


@dataclass(frozen=True)
class Case:
    """What is done to a side, and the scale of our time constants meanwhile."""

    name: str
    title: str
    run: Callable[[Side], str]
    scale: str = SCALE


def case(name: str, title: str, scale: str = SCALE) -> Callable[[Callable[[Side], str]], Callable[[Side], str]]:
    """Adds a function to the cases, in the order of the files."""

    def add(run: Callable[[Side], str]) -> Callable[[Side], str]:
        CASES[name] = Case(name, title, run, scale)
        return run

    return add


def utc(day: int, hour: int, minute: int = 0, second: int = 0, month: int = 6) -> datetime:
    """A moment of 2026, in June unless another month is given: no zone changes its clocks then."""
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def times(arrivals: Iterable[Arrival], form: str = "%H:%M:%S") -> str:
    """`sent at 03:00:00, 03:00:05`, or `not sent`."""
    told = ", ".join(arrival.at.strftime(form) for arrival in arrivals)
    return f"sent {told}" if told else "not sent"


def often(number: int) -> str:
    """`sent once`, `sent 3 times`, `not sent`."""
    return {0: "not sent", 1: "sent once"}.get(number, f"sent {number} times")
