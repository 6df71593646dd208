"""The Celery app class."""

from celery import Celery


class LedgerCelery(Celery):
    """Celery with the ledger under it."""
