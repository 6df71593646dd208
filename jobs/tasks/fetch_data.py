"""fetch_data: the first step of fetch_data, transform_data, save_to_db."""

import uuid

import httpx
from celery import shared_task

from jobs.conf import conf
from jobs.ledger.current import current_job
from jobs.work import keys, pipeline


@shared_task(
    name="fetch_data",
    autoretry_for=(ConnectionError, TimeoutError, httpx.HTTPError),
    max_retries=4,
    retry_backoff=True,
    retry_backoff_max=int(conf().retry_backoff_max),
    retry_jitter=True,
)
def fetch_data(url: str) -> str:
    """Stores the rows of a JSON list; returns the key of the file, for transform_data."""
    job = current_job()
    return pipeline.fetch(url, keys.name_of(job.id if job else str(uuid.uuid4())))
