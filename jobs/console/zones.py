"""Time zones on the console: the choice of one, and times as they are typed and told in it."""

from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.utils import timezone

from jobs.errors import JobError
from jobs.timing.zones import zone_named

TYPED = "%Y-%m-%dT%H:%M:%S"
#: What a browser may send of a `datetime-local`, and a person may type.
FORMATS = (TYPED, "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")


@cache
def zone_choices() -> list[Any]:
    """Every zone of the tz database that names a place, by region; UTC first."""
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    regions = groupby(names, lambda name: name.partition("/")[0])
    return [("UTC", "UTC"), *((region, [(name, _place(name)) for name in found]) for region, found in regions)]


def zone_or_none(name: str) -> ZoneInfo | None:
    """The zone of this name, or None for what is none (a browser may say anything)."""
    try:
        return zone_named(name) if name and "\x00" not in name else None
    except JobError:
        return None


def as_typed(at: datetime | None, zone: ZoneInfo) -> str:
    """A moment as a `datetime-local` shows it: to the millisecond, more leaves that control empty."""
    if at is None:
        return ""
    local = at.astimezone(zone)
    milliseconds = local.microsecond // 1000
    return local.strftime(TYPED) + (f".{milliseconds:03}" if milliseconds else "")


class WallClockField(forms.DateTimeField):
    """A date and a clock time without a zone; `moment_of` tells when that is."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format=TYPED)

    def __init__(self, **more: Any) -> None:
        super().__init__(input_formats=FORMATS, **more)

    def to_python(self, value: Any) -> Any:
        """Naive: `from_current_timezone` of Django's field would take it for UTC."""
        if value in self.empty_values:
            return None
        return timezone.make_naive(read, UTC) if (read := super().to_python(value)) else None


def moment_of(wall: datetime, zone: ZoneInfo, present: datetime | None = None) -> datetime:
    """In UTC; of a time that clocks show twice `present`, or the first. Raises ValidationError for one they skip."""
    if present is not None and as_typed(present, zone) == as_typed(wall.replace(tzinfo=zone), zone):
        return present
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != wall:
        raise forms.ValidationError(f"Clocks in {zone} skip this time on that day. Take another.")
    return moment


def _place(name: str) -> str:
    return name.partition("/")[2].replace("_", " ")
