"""Results: django-celery-results' rows, as what they are: read-only, redacted, quick to list."""

import json
from typing import Any

import django_celery_results.admin  # noqa: F401  (registers its own pages, which these replace)
from celery import states
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_celery_results.models import GroupResult, TaskResult

from jobs.console.acting import ReadOnlyAdmin
from jobs.console.arguments import pretty, shown_part, shown_text, shown_value
from jobs.console.drawing import NONE, badge, both, moment, verbatim
from jobs.console.filters import StaticFilter
from jobs.models import Job

admin.site.unregister([TaskResult, GroupResult])

LOOKS = {
    states.SUCCESS: ("✓", "good"),
    states.FAILURE: ("✕", "bad"),
    states.RETRY: ("↻", "warn"),
    states.STARTED: ("▶", "busy"),
}


class StatusFilter(StaticFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status.capitalize()) for status in sorted(states.ALL_STATES)]


@admin.register(TaskResult)
class TaskResultAdmin(ReadOnlyAdmin):
    list_display = ("task_id", "status_badge", "task_name", "ended", "worker")
    list_filter = (StatusFilter,)
    search_fields = ("task_id",)
    search_help_text = "A job's id, or a task, written in full"
    ordering = ("-date_done", "-id")
    actions = None
    fields = ("task_id", "status_badge", "task_name", "worker", "times", "positional", "keywords", "returned", "trace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskResult]:
        return super().get_queryset(request).defer("task_args", "task_kwargs", "result", "traceback", "meta")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TaskResult], search_term: str
    ) -> tuple[QuerySet[TaskResult], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(task_id=term) | Q(task_name=term)) if term else queryset), False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is not None:
            obj.request = request
            obj.job = Job.objects.filter(pk=obj.task_id).first()
        return self.fields

    @admin.display(description="status")
    def status_badge(self, result: TaskResult) -> SafeString:
        return badge(result.status.capitalize(), *LOOKS.get(result.status, ("○", "")))

    @admin.display(description="ended")
    def ended(self, result: TaskResult) -> SafeString | str:
        return moment(result.date_done) if result.status in states.READY_STATES else NONE

    @admin.display(description="ended")
    def times(self, result: TaskResult) -> SafeString | str:
        return both(result.date_done) if result.status in states.READY_STATES else NONE

    @admin.display(description="by position")
    def positional(self, result: Any) -> SafeString | str:
        if result.job is None:
            return NONE
        return shown_part(result.request, result.job.task, result.job.body, 0)

    @admin.display(description="by name")
    def keywords(self, result: Any) -> SafeString | str:
        if result.job is None:
            return NONE
        return shown_part(result.request, result.job.task, result.job.body, 1)

    @admin.display(description="result")
    def returned(self, result: Any) -> SafeString | str:
        if result.job is None:
            return "Its job's arguments are gone, so that secrets in it can't be told." if result.result else NONE
        value = json.loads(result.result) if result.result else None
        return verbatim(pretty(shown_value(result.request, value, result.job.task, result.job.body)))

    @admin.display(description="traceback")
    def trace(self, result: Any) -> SafeString | str:
        if result.job is None or not result.traceback:
            return NONE
        return verbatim(shown_text(result.request, result.traceback, result.job.task, result.job.body))


@admin.register(GroupResult)
class GroupResultAdmin(ReadOnlyAdmin):
    list_display = ("group_id", "date_done")
    search_fields = ("group_id",)
    search_help_text = "A group's id, written in full"
    ordering = ("-date_done", "-id")
    actions = None
    fields = ("group_id", "date_created", "date_done", "members")

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupResult]:
        return super().get_queryset(request).defer("result")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[GroupResult], search_term: str
    ) -> tuple[QuerySet[GroupResult], bool]:
        return (queryset.filter(group_id=search_term.strip()) if search_term.strip() else queryset), False

    @admin.display(description="members")
    def members(self, result: GroupResult) -> SafeString | str:
        return verbatim(result.result)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields
