"""What else is said of a schedule: what it runs, its policy, and the rest."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django_celery_beat.models import PeriodicTask

from jobs.conf import conf
from jobs.console.argument_fields import read_json
from jobs.console.zones import WallClockField, as_typed, moment_of
from jobs.policies import Missed, Overlap
from jobs.queues import declared
from jobs.redaction import is_plumbing
from jobs.registry import registered_tasks

MOST_SECONDS = 2**31 - 1


class AboutForm(forms.Form):
    """The name, the task and its queue."""

    name = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    task = forms.ChoiceField(help_text="Its arguments are asked for below.")
    queue = forms.ChoiceField(required=False, help_text="Empty: where the task's route leads.")
    enabled = forms.BooleanField(
        label="Enable it at once", required=False, initial=True, help_text="Otherwise it waits until it is resumed."
    )

    def __init__(self, data: Any = None, row: PeriodicTask | None = None) -> None:
        initial = {"name": row.name, "task": row.task, "queue": row.queue or ""} if row else {}
        super().__init__(data, initial=initial)
        self.row = row
        self._choose("task", [("", "Choose a task"), *((name, name) for name in known_tasks())])
        self._choose("queue", [("", "The task's own"), *((name, name) for name in declared())])
        if row:
            del self.fields["enabled"]

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if PeriodicTask.objects.filter(name=name).exclude(pk=self.row.pk if self.row else None).exists():
            raise forms.ValidationError("Another schedule has this name. Choose another.")
        return name

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        """The present value stays a choice, marked, when nobody here knows it."""
        present = self.initial.get(name, "")
        unknown = [] if present in dict(choices) else [(present, f"{present} (unknown here)")]
        field: Any = self.fields[name]
        field.choices = [*choices, *unknown]


class PolicyForm(forms.Form):
    """What becomes of missed ticks and of overlaps."""

    missed = forms.ChoiceField(
        label="Missed ticks",
        choices=Missed.choices,
        initial=Missed.ONCE,
        help_text="Ticks that came while beat or the database was down.",
    )
    missed_limit = forms.IntegerField(
        label="At most",
        min_value=1,
        max_value=10_000,
        initial=10,
        help_text="How many of the missed ticks run, the last ones, when each runs.",
    )
    max_lateness = forms.IntegerField(
        label="Latest start",
        required=False,
        min_value=1,
        max_value=MOST_SECONDS,
        help_text="Seconds after its time that a tick may still run. Empty: any.",
    )
    overlap = forms.ChoiceField(
        label="While a job runs",
        choices=Overlap.choices,
        initial=Overlap.ALLOW,
        help_text="What a tick does when the job of an earlier one has not ended.",
    )
    jitter = forms.IntegerField(
        label="Spread over",
        min_value=0,
        max_value=MOST_SECONDS,
        initial=0,
        help_text="Seconds. Each job starts up to so much after its tick, evenly spread; 0: at the tick.",
    )
    pause_after = forms.IntegerField(
        label="Pause after",
        required=False,
        min_value=1,
        max_value=1000,
        help_text="So many failures in a row pause the schedule. Empty: never.",
    )

    def __init__(self, data: Any = None, row: PeriodicTask | None = None) -> None:
        kept = getattr(row, "policy", None)
        super().__init__(data, initial={name: getattr(kept, name) for name in self.base_fields} if kept else {})
        on_time = f"{conf().late_after:g}"
        self.fields["max_lateness"].help_text += f" With skipped missed ticks empty means {on_time}."

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        if said.get("missed") in (Missed.SKIP, Missed.ONCE) and "missed_limit" in self.errors:
            # It does not count, and is not shown: what is wrong with it is no fault.
            del self.errors["missed_limit"]
            said["missed_limit"] = self.get_initial_for_field(self.fields["missed_limit"], "missed_limit")
        return said


class MoreForm(forms.Form):
    """Start, end, and what few schedules need."""

    start_time = WallClockField(
        label="Start",
        required=False,
        help_text="No tick before it; an interval counts from it. In the time zone above.",
    )
    expires = WallClockField(label="End", required=False, help_text="No tick after it. In the time zone above.")
    one_off = forms.BooleanField(
        label="One time only", required=False, help_text="After the first tick that runs it is done."
    )
    expire_seconds = forms.IntegerField(
        label="Jobs expire after",
        required=False,
        min_value=1,
        max_value=MOST_SECONDS,
        help_text="Seconds. A job that has not started by then is not run any more.",
    )
    priority = forms.IntegerField(
        required=False, min_value=0, max_value=9, help_text="0 to 9; 9 goes first. Empty: the task's own."
    )
    headers = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "json", "spellcheck": "false"}),
        help_text="A JSON object, sent with each job.",
    )
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, data: Any = None, row: PeriodicTask | None = None, zone: ZoneInfo | None = None) -> None:
        super().__init__(data, initial=_more_initial(row, zone or ZoneInfo("UTC")) if row else {})
        self.row, self.zone = row, zone

    @property
    def opened(self) -> bool:
        """Whether something is set that a closed part would hide."""
        return any(self[name].value() not in (None, "", False, "{}") for name in self.fields)

    def clean_headers(self) -> str:
        text = str(self.cleaned_data["headers"]).strip() or "{}"
        read_json(text, dict)
        return text

    def clean_start_time(self) -> datetime | None:
        return self._moment("start_time")

    def clean_expires(self) -> datetime | None:
        return self._moment("expires")

    def _moment(self, name: str) -> datetime | None:
        wall = self.cleaned_data[name]
        if wall is None or self.zone is None:  # what is wrong with the zone is said beside it
            return None
        return moment_of(wall, self.zone, getattr(self.row, name, None))


def known_tasks() -> list[str]:
    """The tasks of the project, by name."""
    return sorted(name for name, task in registered_tasks().items() if not is_plumbing(task))


def _more_initial(row: PeriodicTask, zone: ZoneInfo) -> dict[str, Any]:
    times = {name: as_typed(getattr(row, name), zone) for name in ("start_time", "expires")}
    plain = ("one_off", "expire_seconds", "priority", "headers", "description")
    return {**times, **{name: getattr(row, name) for name in plain}}
