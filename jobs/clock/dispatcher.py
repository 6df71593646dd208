"""What waits for a time: due jobs are queued and rung, overdue ones expire."""

from celery import current_app
from django.db import transaction

from jobs import lifecycle
from jobs.conf import conf


def dispatch(using: str) -> int:
    """Ring every due job; how many."""
    moved = 0
    while batch := lifecycle.dispatch(conf().batch, using=using):
        moved += batch
        if batch < conf().batch:
            break
    return moved


def expire(using: str) -> int:
    """End what is too late to run, at its time; how many."""
    with transaction.atomic(using=using):
        jobs = lifecycle.expire(limit=conf().batch, using=using)
        current_app.backend.end_waiting(jobs, "expired")
    return len(jobs)
