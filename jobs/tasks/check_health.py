"""check_health: whether HEALTH_CHECK_URLS answer."""

from typing import Any

from celery import shared_task
from django.conf import settings

from jobs.work import health


@shared_task(name="check_health")
def check_health() -> dict[str, Any]:
    """Asks each address of HEALTH_CHECK_URLS; fails with a sentence that names those that don't answer well."""
    return health.check(settings.HEALTH_CHECK_URLS)
