"""How long to wait before the next try."""

from collections.abc import Iterator

from jobs.conf import conf


def crash_delay(crashes: int) -> float:
    """Seconds before a job that has killed its worker `crashes` times may try again; the last step repeats."""
    steps = conf().crash_backoff
    return steps[min(crashes, len(steps)) - 1]


def growing(first: float, longest: float) -> Iterator[float]:
    """first, twice that, ... up to longest, then longest for ever (seconds)."""
    wait = first
    while True:
        yield wait
        wait = min(wait * 2, longest)
