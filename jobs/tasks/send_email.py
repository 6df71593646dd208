"""send_email: a plain text mail."""

from typing import Any

from celery import shared_task

from jobs.conf import conf
from jobs.ledger.current import current_job
from jobs.work import mail


@shared_task(name="send_email", bind=True, max_retries=3)
def send_email(self: Any, to: str, subject: str, body: str) -> dict[str, str]:
    """Sends a mail by Django's backend or the mail API; tries again three times when that fails."""
    job = current_job()
    try:
        return mail.send(to, subject, body, key=job.root_job_id if job else "")
    except mail.PASSING_ERRORS as error:
        raise self.retry(exc=error, countdown=conf().retry_delay) from error
