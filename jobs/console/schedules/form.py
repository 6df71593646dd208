"""The one form of a schedule: what it runs, when, with which arguments and policy; and how it is saved."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.db import transaction
from django_celery_beat.models import PeriodicTask

from jobs import activity
from jobs.console.schedules.history import differences, told
from jobs.console.schedules.rule_forms import AboutForm, MoreForm, PolicyForm
from jobs.console.schedules.timing_form import ONCE, TimingForm
from jobs.console.typed_arguments import Given, TypedArgumentsForm, as_text, stored
from jobs.console.zones import zone_or_none
from jobs.models import SchedulePolicy
from jobs.schedules.rows import TIMINGS
from jobs.schedules.validation import Fault, faults
from jobs.timing.zones import UTC_ZONE

PARTS = ("about", "timing", "arguments", "policy", "more")
EDITED_MEANWHILE = (
    "It was edited or switched since this form was opened: see its history. Save again to write over that."
)
#: What an edit writes.
WRITTEN = (
    *("name", "task", "queue", "args", "kwargs", "headers", "priority", "description"),
    *("start_time", "expires", "expire_seconds", "one_off", "date_changed", *TIMINGS),
)


class ScheduleForm:
    """Five forms that are shown, checked and saved as one. `row` is the schedule to edit; None: a new one."""

    def __init__(self, data: Any = None, row: PeriodicTask | None = None, *, sees_all: bool = True) -> None:
        self.data, self.row = data, row
        self.about = AboutForm(data, row)
        self.timing = TimingForm(data, row)
        self.arguments = self._arguments_form(_given(row, sees_all))
        self.policy = PolicyForm(data, row)
        self.more = MoreForm(data, row, self._zone())
        self.parts: tuple[forms.Form, ...] = (self.about, self.timing, self.arguments, self.policy, self.more)

    @property
    def seen(self) -> str:
        """Which state of the row the form shows; sent back with it."""
        return self.row.date_changed.isoformat() if self.row else ""

    def is_valid(self) -> bool:
        """Whether it may be saved; if not each field says why."""
        return self._is_sound

    @cached_property
    def _is_sound(self) -> bool:
        sound = not [part for part in self.parts if not part.is_valid()]  # each is asked
        if sound and (draft := self.draft()).enabled:
            for fault in faults(draft):
                self._place(fault)
        self._look_for_another_edit()
        return sound and not self.has_errors

    @property
    def has_errors(self) -> bool:
        return any(part.errors for part in self.parts)

    @property
    def timing_is_sound(self) -> bool:
        """Whether its ticks can be told, whatever else is still missing."""
        until_when = {"start_time", "expires"} & set(self.more.errors)
        return self.timing.is_valid() and not self.policy.errors and not until_when

    def errors(self) -> Iterator[tuple[str, list[str]]]:
        """(id of the field, what is wrong with it); of a part as a whole by its name: `about`, `timing`, ..."""
        for whole, part in zip(PARTS, self.parts, strict=True):
            for name, said in part.errors.items():
                field = whole if name == "__all__" else part[name].id_for_label or part[name].auto_id
                yield field, [str(one) for one in said]

    def draft(self) -> PeriodicTask:
        """The schedule as it was typed, its timing and policy with it; nothing is saved."""
        row = _copy(self.row) if self.row else PeriodicTask(enabled=True)
        said = {**self.about.cleaned_data, **self.more.cleaned_data}
        for name, value in said.items():
            setattr(row, name, value)
        row.queue = row.queue or None
        self._put_timing(row, self.timing.timing())
        if self.arguments.taken:
            args, kwargs = self.arguments.taken
            row.args, row.kwargs = as_text(args, row.args), as_text(kwargs, row.kwargs)
        SchedulePolicy(schedule=row, **getattr(self.policy, "cleaned_data", {}))
        return row

    def save(self, by: str) -> PeriodicTask:
        """Writes it with its activity: what was before, and what is now, without secrets."""
        with transaction.atomic():
            before = told(self.row) if self.row else {}
            row = self.draft()
            policy = row.policy
            self._put_timing(row, self.timing.fitting())
            # Of an edited row only what the form shows: beat counts its runs, and somebody may pause it meanwhile.
            row.save(update_fields=WRITTEN if self.row else None)
            policy.schedule_id = row.pk
            SchedulePolicy.objects.update_or_create(pk=row.pk, defaults=self.policy.cleaned_data)
            self._record(by, row, before)
        return row

    def _record(self, by: str, row: PeriodicTask, before: dict[str, str]) -> None:
        changed = differences(before, told(row))
        activity.record(by, "edit" if self.row else "create", "schedule", row.name, changed=changed)
        if self.row and self.row.name != row.name:
            activity.record(by, "rename", "schedule", self.row.name, to=row.name)

    def _put_timing(self, row: PeriodicTask, timing: Any) -> None:
        for name in TIMINGS:
            setattr(row, name, timing if name == self.timing.chosen_kind else None)
        row.one_off = row.one_off or self.timing.chosen_kind == ONCE

    def _look_for_another_edit(self) -> None:
        """What somebody else saved since the form was opened is not written over unseen."""
        if self.row and self.data.get("seen", self.seen) != self.seen:
            self.about.add_error(None, EDITED_MEANWHILE)

    def _place(self, fault: Fault) -> None:
        """Under the field that it is about."""
        for part in self.parts:
            if fault.field in part.fields:
                part.add_error(fault.field, fault.message)
                return
        timing = fault.field in (*TIMINGS, "timing")
        (self.timing if timing else self.arguments).add_error(None, fault.message)

    def _arguments_form(self, given: Given) -> TypedArgumentsForm:
        """Without JavaScript another task is sent with the fields of the one before: its own are to be filled in."""
        task = self._task()
        fresh = TypedArgumentsForm(task, given)
        self.asks_again = bool(
            self.data is not None
            and self.data.get("arguments_of", task) != task
            and any(field.required for field in fresh.fields.values())
        )
        return fresh if self.data is None or self.asks_again else TypedArgumentsForm(task, given, self.data)

    def _task(self) -> str:
        if self.data is not None:
            return str(self.data.get("task", ""))
        return self.row.task if self.row else ""

    def _zone(self) -> ZoneInfo | None:
        if self.data is not None:
            return self.timing.chosen_zone if self.timing.is_valid() or "zone" not in self.timing.errors else None
        return zone_or_none(str(self.row.crontab.timezone)) if self.row and self.row.crontab else UTC_ZONE


def _given(row: PeriodicTask | None, sees_all: bool) -> Given:
    """The stored arguments; of a row whose text nobody can read, none."""
    if row is None:
        return Given(masked=not sees_all)
    try:
        return Given(*stored(row.args, row.kwargs), row.task, masked=not sees_all)
    except ValueError:
        return Given([], {}, row.task, masked=not sees_all, unread=True)


def _copy(row: PeriodicTask) -> PeriodicTask:
    """Beside the row itself: what was before is told from that one."""
    columns = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    copy = PeriodicTask(**columns)
    copy._state.adding, copy._state.db = False, row._state.db
    return copy
