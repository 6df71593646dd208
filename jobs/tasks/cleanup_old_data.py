"""cleanup_old_data: the daily pruning."""

from celery import shared_task

from jobs import retention


@shared_task(name="cleanup_old_data")
def cleanup_old_data() -> dict[str, int]:
    """Deletes everything past its time (RETENTION_DAYS, result_expires); returns what went, by name."""
    return retention.prune()
