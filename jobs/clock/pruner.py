"""Results past result_expires go all day long, a moment at a time; the rest waits for the daily cleanup."""

from collections.abc import Iterator

from jobs import retention
from jobs.conf import conf


def prune_results(_using: str) -> Iterator[dict[str, int]]:
    """Delete expired results for a moment; how many, by name."""
    yield retention.prune_results(conf().turn)
