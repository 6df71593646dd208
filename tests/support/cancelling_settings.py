"""The project's settings, with Celery's own answer to a cut connection: stop what runs, start it again."""

from config.settings import *  # noqa: F403

CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
