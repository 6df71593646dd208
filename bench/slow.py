"""A job that takes its time and tells when it began and ended."""

import os
import time

from celery import shared_task


@shared_task(name="bench.slow")
def slow(key: str, seconds: float) -> None:
    """Write `began` and `ended` lines with the Unix time to JOURNAL."""
    _tell("began", key)
    try:
        time.sleep(seconds)
    finally:
        _tell("ended", key)


def _tell(what: str, key: str) -> None:
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(f"{time.time():.3f} {what} {key}\n")
