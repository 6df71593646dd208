"""The project's settings, with workers that are given one second to stop softly."""

from config.settings import *  # noqa: F403

CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 1
