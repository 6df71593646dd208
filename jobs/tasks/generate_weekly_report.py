"""generate_weekly_report: the week's jobs, mailed."""

from typing import Any

from celery import shared_task

from jobs.conf import conf
from jobs.ledger.current import current_job
from jobs.work import mail, weekly


@shared_task(name="generate_weekly_report", bind=True, max_retries=3)
def generate_weekly_report(self: Any, email: str) -> dict[str, Any]:
    """Mails an HTML report with a chart over the jobs of the last seven days."""
    job = current_job()
    try:
        return weekly.mail_report(email, key=job.root_job_id if job else "")
    except mail.PASSING_ERRORS as error:
        raise self.retry(exc=error, countdown=conf().retry_delay) from error
