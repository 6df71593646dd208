"""Wiring of the built-in tasks' own tables and files."""

from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "jobs.work"
    label = "work"
    verbose_name = "Built-in tasks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs import retention
        from jobs.work import pipeline

        retention.pruners.append(pipeline.prune)
