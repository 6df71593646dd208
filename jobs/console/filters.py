"""Filters whose choices are known beforehand (Django's own ask the table for its DISTINCT values)."""

from typing import Any

from celery import current_app
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.queues import declared
from jobs.states import State


class StaticFilter(SimpleListFilter):
    """Equality with one of a fixed list of values."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class StateFilter(StaticFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(State.choices)


class QueueFilter(StaticFilter):
    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in declared()]


class TaskFilter(StaticFilter):
    title = "task"
    parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        current_app.loader.import_default_modules()
        return [(name, name) for name in sorted(current_app.tasks) if not name.startswith("celery.")]
