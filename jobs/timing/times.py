"""Times and outages as people type them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone

from jobs.errors import JobError
from jobs.timing.plan import Outage
from jobs.timing.zones import moments

BETWEEN = ".."
EXAMPLE = "2027-03-28T02:00..2027-03-28T06:00"


class BadTime(JobError):
    """A text that is no time."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text!r} is no time. Write 2027-03-28T02:30, or with an offset 2027-03-28T02:30+01:00.")


class BadOutage(JobError):
    """A text that is no outage."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text!r} is no outage. Write two times, the later one last: {EXAMPLE}.")


class EmptySpan(JobError):
    """A preview that ends before it begins."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        told = f"{since.isoformat(' ', 'seconds')} to {until.isoformat(' ', 'seconds')}"
        super().__init__(f"Nothing lies from {told}. Give a later --until, or an earlier --from.")


def moment(text: str, zone: ZoneInfo) -> datetime:
    """An ISO time; without an offset one of the zone's clocks (one that they skip: the first moment after).

    Raises BadTime.
    """
    try:
        given = datetime.fromisoformat(text.strip())
        given.astimezone(zone)  # the ends of the calendar
        return given if timezone.is_aware(given) else moments(given, zone, twice=False)[0].astimezone(zone)
    except (ValueError, OverflowError):
        raise BadTime(text) from None


def outage(text: str, zone: ZoneInfo) -> Outage:
    """`A..B`. Raises BadTime, BadOutage."""
    since, between, until = text.partition(BETWEEN)
    if not between:
        raise BadOutage(text)
    found = Outage(moment(since, zone), moment(until, zone))
    if found.since >= found.until:
        raise BadOutage(text)
    return found
