"""The Celery app: `celery -A config worker|beat|flower`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from jobs.ledger.app import LedgerCelery

app = LedgerCelery("stationmaster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
