"""The timings that schedules share: django-celery-beat's own pages, with a trace for each edit."""

from typing import Any

import django_celery_beat.admin as beat
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from jobs import activity
from jobs.console.acting import ActingAdmin, who
from jobs.schedules.rows import readable, readable_lines

admin.site.unregister([IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule])


class SchedulesInline(beat.PeriodicTaskInline):
    """The schedules that use a timing, also one that nobody can read."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        return readable(super().get_queryset(request))


class RecordedAdmin(ActingAdmin):
    """Edits by hand, written into the activity in their transaction."""

    operate_permission = "jobs.operate_schedule"
    inlines = (SchedulesInline,)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        activity.record(who(request), "edit" if change else "create", "schedule", str(obj), fields=form.changed_data)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """The timings, and the schedules that go with them, by name."""
        names = [name for obj in objs for name in _schedules_of(obj)]
        told = [*map(str, objs), *(f"Schedule: {name}" for name in names)]
        may = not names or request.user.has_perm("django_celery_beat.delete_periodictask")
        count = {self.opts.verbose_name_plural: len(objs), "schedules": len(names)}
        return told, count, set() if may else {"schedule"}, []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        for name in (str(obj), *_schedules_of(obj)):
            activity.record(who(request), "delete", "schedule", name)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self.delete_model(request, obj)


def _schedules_of(timing: Any) -> list[str]:
    return list(timing.periodictask_set.order_by("name").values_list("name", flat=True))


class TimingAdmin(RecordedAdmin, beat.ScheduleAdmin):
    """A timing that schedules share."""


@admin.register(CrontabSchedule)
class CrontabAdmin(RecordedAdmin, beat.CrontabScheduleAdmin):
    def get_queryset(self, request: HttpRequest) -> QuerySet[CrontabSchedule]:
        return readable_lines(super().get_queryset(request))


@admin.register(ClockedSchedule)
class ClockedAdmin(RecordedAdmin, beat.ClockedScheduleAdmin):
    pass


admin.site.register([IntervalSchedule, SolarSchedule], TimingAdmin)
