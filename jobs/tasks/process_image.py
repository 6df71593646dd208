"""process_image: a picture in the storage, through a list of operations."""

from typing import Any

from celery import shared_task

from jobs.conf import conf
from jobs.ledger.current import report_progress
from jobs.work import images
from jobs.work.operations import Detailed, Name


@shared_task(name="process_image", bind=True, max_retries=3)
def process_image(self: Any, image_path: str, operations: list[Name | Detailed]) -> dict[str, Any]:
    """Writes `<name>_processed.<ext>` beside the picture; only a storage that fails is tried again."""
    try:
        return images.process(image_path, operations, report_progress)
    except OSError as error:
        raise self.retry(exc=error, countdown=conf().retry_delay) from error
