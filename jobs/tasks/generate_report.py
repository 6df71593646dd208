"""generate_report: the callback of a chord of process_image."""

import uuid
from typing import Any

from celery import shared_task

from jobs.ledger.current import current_job
from jobs.work import keys, reports


@shared_task(name="generate_report")
def generate_report(results: list[dict[str, Any]]) -> dict[str, str]:
    """Stores an HTML report with a chart over results of process_image; returns its key."""
    job = current_job()
    return reports.over_pictures(results, keys.name_of(job.id if job else str(uuid.uuid4())))
