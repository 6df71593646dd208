"""sync_data: contacts copied from an outside source."""

from typing import Any

import httpx
from celery import shared_task

from jobs.conf import conf
from jobs.work import contacts


@shared_task(
    name="sync_data",
    autoretry_for=(ConnectionError, TimeoutError, httpx.HTTPError),
    max_retries=4,
    retry_backoff=True,
    retry_backoff_max=int(conf().retry_backoff_max),
    retry_jitter=True,
)
def sync_data(source_url: str) -> dict[str, Any]:
    """Adds or renews a contact for each row of a JSON list; five tries when the source can't be reached."""
    return contacts.sync(source_url)
