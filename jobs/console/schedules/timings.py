"""The timings that schedules share: django-celery-beat's own pages, with a trace for each edit."""

from typing import Any

import django_celery_beat.admin as beat
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule

from jobs import activity
from jobs.console.acting import ActingAdmin, who
from jobs.schedules.rows import readable_lines

admin.site.unregister([IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule])


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
