"""The Celery app: `celery -A config worker|beat|flower`."""

import os
from typing import Any

from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from jobs.ledger.app import LedgerCelery


@setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """Settings' LOGGING stands: with a receiver here Celery sets neither its own levels nor its own formats."""


app = LedgerCelery("stationmaster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
