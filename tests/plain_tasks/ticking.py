"""A schedule as Celery's guide writes it."""

from celery import current_app

current_app.conf.beat_schedule = {
    "plain tick": {"task": "tests.plain_tasks.whoami", "schedule": 1.0},
}
