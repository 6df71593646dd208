"""What people press on schedules: run now, pause, resume, duplicate, delete. Each leaves its activity."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from jobs import activity
from jobs.console.acting import ActingAdmin, ReasonForm, WhyForm, answered, many, who, why
from jobs.console.zones import WallClockField, moment_of, zone_choices, zone_or_none
from jobs.errors import JobError
from jobs.lifecycle.moment import now
from jobs.models import ScheduleTick
from jobs.schedules import pressing

SPANS = (
    ("", "Somebody resumes it"),
    ("1", "1 hour"),
    ("4", "4 hours"),
    ("24", "1 day"),
    ("168", "7 days"),
    ("at", "A time"),
)


class PauseForm(ReasonForm):
    """Why, and until when."""

    until = forms.ChoiceField(label="Until", choices=SPANS, required=False)
    resume_at = WallClockField(label="That time", required=False)
    zone = forms.ChoiceField(label="Time zone", choices=zone_choices, initial="UTC", required=False)

    class Media:
        js = ("jobs/here.js",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = True
        if not self.is_bound:
            self.fields["zone"].widget.attrs["data-here"] = "zone"

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        zone = zone_or_none(said.get("zone") or "UTC") or ZoneInfo("UTC")
        wall = said.get("resume_at")
        if said.get("until") == "at" and not wall and "resume_at" not in self.errors:
            self.add_error("resume_at", "Say when.")
        try:
            said["resume_at"] = moment_of(wall, zone) if wall else None
        except forms.ValidationError as error:
            self.add_error("resume_at", error)
        return said

    def end(self) -> datetime | None:
        """When it resumes by itself; None: when somebody resumes it."""
        until = self.cleaned_data["until"]
        if until in ("", "at"):
            given: datetime | None = self.cleaned_data["resume_at"]
            return given
        return now(router.db_for_read(PeriodicTask)) + timedelta(hours=int(until))


class NameForm(forms.Form):
    """What the copy is called."""

    name = forms.CharField(max_length=pressing.LONGEST_NAME, widget=forms.TextInput(attrs={"size": 60}))


class PressesAdmin(ActingAdmin):
    """The actions of schedules, for the list and for the page of one."""

    action_form = WhyForm
    operate_permission = "jobs.operate_schedule"
    actions = ("run_now", "pause", "resume", "duplicate")
    buttons = ("run_now", "pause", "resume", "duplicate")

    def has_copy_permission(self, request: HttpRequest) -> bool:
        """A copy is a new schedule."""
        return self.has_add_permission(request)

    @admin.action(description="Run selected schedules now", permissions=["operate"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        posted, refused = [], []
        for key in self._keys(request, queryset):
            try:
                posted.append(pressing.run_now(key, by=who(request), reason=why(request)))
            except JobError as error:
                refused.append(str(error))
        if posted:
            self.message_user(request, _queued(posted), messages.SUCCESS)
        self._refuse(request, refused)

    @admin.action(description="Pause selected schedules", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> HttpResponse | None:
        keys = self._keys(request, queryset)
        form = answered(request, PauseForm)
        done = self._pause(request, keys, form) if form.is_valid() else None
        if done is None:
            names = list(PeriodicTask.objects.filter(pk__in=keys).order_by("name").values_list("name", flat=True))
            return self.ask(request, form, f"Pause {many(len(keys), 'schedule')}", [str(key) for key in keys], names)
        self._say(request, done, "Paused", "already off")
        return None

    @admin.action(description="Resume selected schedules", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        done = pressing.resume(self._keys(request, queryset), by=who(request), reason=why(request))
        self._say(request, done, "Resumed", "already enabled")
        self._refuse(request, done.refused.values())

    @admin.action(description="Duplicate selected schedules", permissions=["copy"])
    def duplicate(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> HttpResponse | None:
        keys = self._keys(request, queryset)
        rows = list(PeriodicTask.objects.filter(pk__in=keys).order_by("name").values_list("pk", "name"))
        if len(rows) == 1:
            return self._duplicate_one(request, *rows[0])
        with transaction.atomic():
            copies = [pressing.duplicate(key, by=who(request), name=_free_name(name)) for key, name in rows]
        self.message_user(request, f"Duplicated {many(len(copies), 'schedule')}; the copies are disabled.", "success")
        return None

    def _pause(self, request: HttpRequest, keys: list[int], form: Any) -> pressing.Pressed | None:
        """What was paused; None when the form says why nothing was."""
        try:
            return pressing.pause(keys, by=who(request), reason=form.cleaned_data["reason"], resume_at=form.end())
        except pressing.ResumeInThePast as past:
            form.add_error("resume_at", str(past))
            return None

    def _duplicate_one(self, request: HttpRequest, key: int, name: str) -> HttpResponse:
        form = NameForm(request.POST if "answered" in request.POST else None, initial={"name": _free_name(name)})
        if form.is_valid():
            try:
                copy = pressing.duplicate(key, by=who(request), name=form.cleaned_data["name"])
            except pressing.NameTaken as taken:
                form.add_error("name", str(taken))
            else:
                self.message_user(request, f"This is the copy of {name}. It is disabled.", messages.SUCCESS)
                return HttpResponseRedirect(self._edit_url(request, copy))
        return self.ask(request, form, f"Duplicate {name}", [str(key)])

    def _edit_url(self, request: HttpRequest, row: PeriodicTask) -> str:
        return reverse("admin:django_celery_beat_periodictask_edit", args=[row.pk])

    def buttons_for(self, request: HttpRequest, obj: PeriodicTask) -> list[tuple[str, str]]:
        words = {"run_now": "Run now", "pause": "Pause", "resume": "Resume", "duplicate": "Duplicate"}
        senseless = "resume" if obj.enabled else "pause"
        return [(name, words[name]) for name, _ in super().buttons_for(request, obj) if name != senseless]

    # --- deleting ---

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """The schedules by name; not each of their ticks, which go with them."""
        names = [row.name for row in objs]
        return names, {"schedules": len(names)}, set(), []

    def delete_model(self, request: HttpRequest, obj: PeriodicTask) -> None:
        self._delete(request, [obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._delete(request, list(queryset.values_list("pk", flat=True)))

    def _delete(self, request: HttpRequest, keys: list[int]) -> None:
        with transaction.atomic():
            for name in PeriodicTask.objects.filter(pk__in=keys).values_list("name", flat=True):
                activity.record(who(request), "delete", "schedule", name)
            # As SQL: a schedule may have a million ticks.
            ticks: Any = ScheduleTick.objects.filter(schedule_id__in=keys)
            ticks._raw_delete(ticks.db)
            PeriodicTask.objects.filter(pk__in=keys).delete()
            PeriodicTasks.update_changed()

    # --- helpers ---

    def _keys(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> list[int]:
        return [int(key) for key in self.selected(request, queryset)]

    def _say(self, request: HttpRequest, pressed: pressing.Pressed, done: str, idle: str) -> None:
        """What changed, and of which schedules nothing did."""
        said = [f"{done} {_listed(pressed.done)}."] if pressed.done else []
        said += [f"Nothing changed, {idle}: {_listed(pressed.unchanged)}."] if pressed.unchanged else []
        if said:
            self.message_user(request, " ".join(said), messages.SUCCESS if pressed.done else messages.WARNING)

    def _refuse(self, request: HttpRequest, sentences: Iterable[str]) -> None:
        for sentence in list(sentences)[:10]:
            self.message_user(request, sentence, messages.ERROR)


def _queued(ids: list[str]) -> Any:
    links = format_html_join(
        ", ", '<a href="{}">job {}</a>', ((reverse("admin:jobs_job_change", args=[quote(id)]), id) for id in ids[:5])
    )
    return format_html("Queued {}: {}{}", many(len(ids), "job"), links, " …" if len(ids) > 5 else ".")


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else many(len(names), "schedule")


def _free_name(name: str) -> str:
    """`NAME copy`, `NAME copy 2`: one that no schedule has."""
    stem = f"{name[: pressing.LONGEST_NAME - 10]} copy"
    taken = set(PeriodicTask.objects.filter(name__startswith=stem).values_list("name", flat=True))
    return next(found for n in range(1, len(taken) + 2) if (found := stem if n == 1 else f"{stem} {n}") not in taken)
