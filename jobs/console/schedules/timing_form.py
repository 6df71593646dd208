"""One control for when a schedule ticks: a kind, the fields of that kind, and the zone its times are told in."""

from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.db.models import Model
from django.utils import timezone
from django_celery_beat.models import (
    SOLAR_SCHEDULES,
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from jobs.console.zones import WallClockField, as_typed, moment_of, zone_choices, zone_or_none
from jobs.errors import JobError
from jobs.schedules.reading import timing_of
from jobs.schedules.rows import TIMINGS
from jobs.timing.errors import BadTiming

EVERY, CALENDAR, ONCE, SUN = "interval", "crontab", "clocked", "solar"
KINDS = ((EVERY, "Every"), (CALENDAR, "Calendar"), (ONCE, "Once"), (SUN, "Sun"))
#: What each kind is told by, and may not lack.
FIELDS = {
    EVERY: ("every", "period"),
    CALENDAR: ("minute", "hour", "day_of_month", "month_of_year", "day_of_week"),
    ONCE: ("once_at",),
    SUN: ("event", "latitude", "longitude"),
}
PERIODS = (("seconds", "seconds"), ("minutes", "minutes"), ("hours", "hours"), ("days", "days"))
#: A line to start from: its name, and the five fields in cron's order.
PRESETS = (
    ("*/15 * * * *", "Every 15 minutes"),
    ("0 * * * *", "Every hour"),
    ("0 2 * * *", "Every day at 02:00"),
    ("*/15 8-18 * * 1-5", "Weekdays every 15 min, 08:00 to 18:59"),
    ("0 9 * * 1-5", "Weekdays at 09:00"),
    ("0 9 * * 1", "Mondays at 09:00"),
    ("0 0 1 * *", "The first of each month at 00:00"),
)
MODELS: dict[str, Any] = {
    EVERY: IntervalSchedule,
    CALENDAR: CrontabSchedule,
    ONCE: ClockedSchedule,
    SUN: SolarSchedule,
}


def cron_field(label: str, hint: str) -> forms.CharField:
    """One part of a cron line."""
    attrs = {"size": 8, "autocomplete": "off", "spellcheck": "false"}
    return forms.CharField(
        label=label, help_text=hint, required=False, initial="*", max_length=240, widget=forms.TextInput(attrs=attrs)
    )


class TimingForm(forms.Form):
    """Only the fields of the chosen kind count; the others keep what was typed."""

    kind = forms.ChoiceField(label="Ticks", choices=KINDS, initial=EVERY, widget=forms.RadioSelect)
    every = forms.IntegerField(label="Every", required=False, min_value=1, max_value=2**31 - 1, initial=5)
    period = forms.ChoiceField(label="Unit", choices=PERIODS, required=False, initial="minutes")
    preset = forms.ChoiceField(label="Start from", choices=[("", "–"), *PRESETS], required=False)
    minute = cron_field("Minute", "0-59, */15")
    hour = cron_field("Hour", "0-23, 8-18")
    day_of_month = cron_field("Day", "1-31, of the month")
    month_of_year = cron_field("Month", "1-12, jan")
    day_of_week = cron_field("Weekday", "0-6, mon-fri")
    once_at = WallClockField(label="At", required=False)
    event = forms.ChoiceField(label="Event", choices=SOLAR_SCHEDULES, required=False, initial="sunrise")
    latitude = forms.DecimalField(
        label="Latitude", required=False, min_value=-90, max_value=90, max_digits=9, decimal_places=6
    )
    longitude = forms.DecimalField(
        label="Longitude", required=False, min_value=-180, max_value=180, max_digits=9, decimal_places=6
    )
    zone = forms.ChoiceField(
        label="Time zone",
        choices=zone_choices,
        initial="UTC",
        help_text="Clock times of this form are read in it, and the next ticks are told in it.",
    )

    def __init__(self, data: Any = None, row: PeriodicTask | None = None) -> None:
        super().__init__(_filled_by_preset(data), initial=timing_initial(row) if row else {})
        self.present = present_timing(row) if row else None
        for name in ("period", "event", "zone"):
            _keep(cast(forms.ChoiceField, self.fields[name]), self.get_initial_for_field(self.fields[name], name))

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        for name in FIELDS.get(said.get("kind", ""), ()):
            if name not in self.errors and said.get(name) in (None, ""):
                self.add_error(name, f"{self.fields[name].label} is required.")
        if "zone" not in self.errors and zone_or_none(said["zone"]) is None:
            self.add_error("zone", f"{said['zone']} is not a time zone. Choose one.")
        if said.get("kind") == ONCE and said.get("once_at") and self.chosen_zone:
            said["once_at"] = self._moment("once_at")
        self._forget_other_kinds()
        if not self.errors:
            self._check()
        return said

    @property
    def line(self) -> list[forms.BoundField]:
        """The five fields of a cron line."""
        return [self[name] for name in FIELDS[CALENDAR]]

    @property
    def chosen_zone(self) -> ZoneInfo | None:
        """The chosen zone, when it is one."""
        return zone_or_none(self.cleaned_data.get("zone", ""))

    @property
    def chosen_kind(self) -> str:
        return str(self.cleaned_data.get("kind", ""))

    def timing(self) -> Any:
        """The timing that was typed, as a row that is not saved."""
        return MODELS[self.chosen_kind](**self._columns())

    def fitting(self) -> Any:
        """The stored row of this timing, made when there is none: a row that others share is never changed."""
        columns = self._columns()
        if self.present is not None and _same(self.present, self.timing()):
            return self.present
        # Not get_or_create: django-celery-beat allows the same timing twice.
        return MODELS[self.chosen_kind].objects.filter(**columns).first() or MODELS[self.chosen_kind].objects.create(
            **columns
        )

    def _columns(self) -> dict[str, Any]:
        said = self.cleaned_data
        if self.chosen_kind == ONCE:
            return {"clocked_time": said["once_at"]}
        columns = {name: said[name] for name in FIELDS[self.chosen_kind]}
        if self.chosen_kind == CALENDAR:
            columns = {name: value.replace(" ", "") for name, value in columns.items()}
            columns["timezone"] = self.chosen_zone
        return columns

    def _check(self) -> None:
        """Whether it can be read, and ever comes."""
        try:
            timing_of(PeriodicTask(**{self.chosen_kind: self.timing()}), timezone.now())
        except BadTiming as bad:
            self.add_error(bad.field if bad.field in self.fields else None, str(bad))
        except JobError as broken:
            self.add_error(None, str(broken))

    def _moment(self, name: str) -> datetime | None:
        try:
            present = getattr(self.present, "clocked_time", None)
            return moment_of(self.cleaned_data[name], cast(ZoneInfo, self.chosen_zone), present)
        except forms.ValidationError as error:
            self.add_error(name, error)
            return None

    def _forget_other_kinds(self) -> None:
        """What is wrong with a field that does not count is no fault."""
        counted = {"kind", "zone", *FIELDS.get(self.cleaned_data.get("kind", ""), ())}
        for name in set(self.errors) - counted:
            del self.errors[name]


def present_timing(row: PeriodicTask) -> Model | None:
    """The row's timing, of whatever kind."""
    return next((timing for name in TIMINGS if (timing := getattr(row, name)) is not None), None)


def timing_initial(row: PeriodicTask) -> dict[str, Any]:
    """The present timing, filled in."""
    if row.crontab:
        fields = {name: getattr(row.crontab, name) for name in FIELDS[CALENDAR]}
        return {"kind": CALENDAR, **fields, "zone": str(row.crontab.timezone)}
    if row.interval:
        return {"kind": EVERY, "every": row.interval.every, "period": row.interval.period}
    if row.clocked:
        return {"kind": ONCE, "once_at": as_typed(row.clocked.clocked_time, ZoneInfo("UTC"))}
    return {"kind": SUN, **{name: getattr(row.solar, name) for name in FIELDS[SUN]}} if row.solar else {}


def _filled_by_preset(data: Any) -> Any:
    """A browser without JavaScript sends the line to start from; it fills the five fields."""
    if not data or data.get("preset") not in dict(PRESETS) or data.get("kind") != CALENDAR:
        return data
    filled = data.copy()
    filled["preset"] = ""
    minute, hour, day, month, weekday = data["preset"].split()
    for name, value in zip(FIELDS[CALENDAR], (minute, hour, day, month, weekday), strict=True):
        filled[name] = value
    return filled


def _keep(field: forms.ChoiceField, value: Any) -> None:
    """A present value that is none of the choices (a unit of microseconds, an old zone name) stays one of them."""
    if value and not field.valid_value(value):
        field.choices = [*field.choices, (value, value)]  # type: ignore[misc]


def _same(one: Model, other: Model) -> bool:
    columns = [field.attname for field in one._meta.concrete_fields if not field.primary_key]
    return type(one) is type(other) and all(str(getattr(one, c)) == str(getattr(other, c)) for c in columns)
