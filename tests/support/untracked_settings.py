"""The project's settings without STARTED, and with Celery's own retries of its result backend."""

from config.settings import *  # noqa: F403

CELERY_RESULT_BACKEND_ALWAYS_RETRY = True
CELERY_TASK_TRACK_STARTED = False
