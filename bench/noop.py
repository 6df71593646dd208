"""The job that every contender runs: nothing."""

from celery import shared_task


@shared_task(name="bench.noop")
def noop() -> None:
    return None
