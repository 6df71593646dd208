"""Results past result_expires go all day long, a moment at a time; the rest waits for the daily cleanup."""

from jobs import retention

#: Seconds a turn: a due job is rung within one.
MOMENT = 0.25


def prune_results(_using: str) -> dict[str, int]:
    """Delete expired results for a moment; how many, by name."""
    return retention.prune_results(MOMENT)
