"""Schedules: django-celery-beat's pages, with permission and a trace for everything that is pressed."""

from collections.abc import Callable
from typing import Any

import django_celery_beat.admin as beat
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from jobs import activity
from jobs.console.acting import ActingAdmin, many, who
from jobs.console.arguments import sees_all, shown_part
from jobs.console.drawing import badge, moment
from jobs.messages import loads
from jobs.posting import task_named
from jobs.schedules.preview import words

admin.site.unregister([PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule])


class RecordedAdmin(ActingAdmin):
    """Edits by hand, written into the activity in their transaction."""

    operate_permission = "jobs.operate_schedule"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        activity.record(who(request), "edit" if change else "create", "schedule", str(obj), fields=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        activity.record(who(request), "delete", "schedule", str(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for obj in queryset:
                activity.record(who(request), "delete", "schedule", str(obj))
            super().delete_queryset(request, queryset)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(RecordedAdmin, beat.PeriodicTaskAdmin):
    """Its actions ask nobody for permission and leave no trace; these do both."""

    change_form_template = "admin/acting.html"
    list_display = ("name", "status", "task", "words", "last_run", "total_run_count")
    list_filter = ("enabled",)
    date_hierarchy = None
    search_fields = ("name", "task")
    sortable_by = ()
    list_select_related = ("interval", "crontab", "solar", "clocked")
    actions = ("enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks")
    buttons = ("run_tasks", "enable_tasks", "disable_tasks")
    ordering = ("name",)

    # --- who sees what ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Arguments may hold secrets, and a form's field would save the mask: some get them as text, masked."""
        found = super().get_fieldsets(request, obj)
        if obj is None or sees_all(request):
            return found
        obj.request = request
        masked = {"fields": ("positional", "keywords")}
        return [(name, {**part, **masked} if "kwargs" in part["fields"] else part) for name, part in found]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "positional", "keywords")

    # --- pressing ---

    @admin.action(description="Enable selected schedules", permissions=["operate"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._press(request, queryset.filter(enabled=False), "enable", super().enable_tasks)

    @admin.action(description="Pause selected schedules", permissions=["operate"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._press(request, queryset.filter(enabled=True), "pause", super().disable_tasks)

    @admin.action(description="Pause the enabled and enable the paused", permissions=["operate"])
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._press(request, queryset, "toggle", super().toggle_tasks)

    @admin.action(description="Run selected schedules now", permissions=["operate"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._press(request, queryset, "run", self._enqueue)

    def _enqueue(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        for schedule in queryset:
            task = task_named(schedule.task)
            headers = {"periodic_task_name": schedule.name}
            args, kwargs = loads(schedule.args), loads(schedule.kwargs)
            task.apply_async(args, kwargs, queue=schedule.queue or None, priority=schedule.priority, headers=headers)
        self.message_user(request, f"Queued {many(queryset.count(), 'job')}.", "success")

    def _press(
        self, request: HttpRequest, queryset: QuerySet[PeriodicTask], action: str, act: Callable[..., Any]
    ) -> None:
        with transaction.atomic():
            # Locked: of two who press at once the second finds nothing to change.
            pressed = list(queryset.select_for_update(of=("self",)))
            for schedule in pressed:
                activity.record(who(request), action, "schedule", schedule.name)
                self.log_change(request, schedule, action)
            if pressed:
                act(request, PeriodicTask.objects.filter(pk__in=[schedule.pk for schedule in pressed]))
            else:
                self.message_user(request, f"Nothing changed: there was nothing left to {action}.", "warning")

    def buttons_for(self, request: HttpRequest, obj: PeriodicTask) -> list[tuple[str, str]]:
        switch = ("disable_tasks", "Pause") if obj.enabled else ("enable_tasks", "Enable")
        words = dict([("run_tasks", "Run now"), switch])
        return [(name, words[name]) for name, _ in super().buttons_for(request, obj) if name in words]

    # --- showing ---

    @admin.display(description="state")
    def status(self, schedule: PeriodicTask) -> SafeString:
        return badge("Enabled", "✓", "good") if schedule.enabled else badge("Paused", "‖", "warn")

    @admin.display(description="when")
    def words(self, schedule: PeriodicTask) -> str:
        return words(schedule)

    @admin.display(description="by position")
    def positional(self, schedule: Any) -> SafeString | str:
        return shown_part(schedule.request, schedule.task, _body(schedule), 0)

    @admin.display(description="by name")
    def keywords(self, schedule: Any) -> SafeString | str:
        return shown_part(schedule.request, schedule.task, _body(schedule), 1)

    @admin.display(description="last run")
    def last_run(self, schedule: PeriodicTask) -> SafeString | str:
        return moment(schedule.last_run_at)


def _body(schedule: PeriodicTask) -> str:
    """Its arguments, as a job's message holds them."""
    return f"[{schedule.args}, {schedule.kwargs}, {{}}]"


class TimingAdmin(RecordedAdmin, beat.ScheduleAdmin):
    """A timing that schedules share."""


@admin.register(CrontabSchedule)
class CrontabAdmin(RecordedAdmin, beat.CrontabScheduleAdmin):
    pass


@admin.register(ClockedSchedule)
class ClockedAdmin(RecordedAdmin, beat.ClockedScheduleAdmin):
    pass


admin.site.register([IntervalSchedule, SolarSchedule], TimingAdmin)
