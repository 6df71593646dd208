"""Schedules: rows of django-celery-beat, each enqueueing a task again and again."""
