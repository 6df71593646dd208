"""Lengths of time as everybody tells them."""

from datetime import timedelta

UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def span(seconds: float | timedelta) -> str:
    """`0.42 s`, `17 s`, `3 min`, `2 h`, `5 d`."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    for size, unit in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.0f} s"
