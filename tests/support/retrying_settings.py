"""The project's settings with the two that are said to help Celery's result backend through an outage."""

from config.settings import *  # noqa: F403

CELERY_RESULT_BACKEND_ALWAYS_RETRY = True
CELERY_TASK_TRACK_STARTED = True
