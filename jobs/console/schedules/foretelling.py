"""What a schedule will do, as it is typed: words, the next ticks in two zones, what an outage would make of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.console.schedules.form import ScheduleForm
from jobs.console.schedules.timeline import Timeline, timeline
from jobs.console.zones import TYPED, WallClockField, moment_of, zone_or_none
from jobs.errors import JobError
from jobs.policies import Outcome, Why
from jobs.schedules.preview import Shown, note, simulate, words
from jobs.timing.plan import Outage
from jobs.timing.zones import UTC_ZONE

NEXT = 5
#: Lines of the simulator; more ticks than that are counted by the plan, or cut.
LINES = 40
#: Ticks shown beyond the end of the outage.
BEYOND = 3


@dataclass(frozen=True)
class Line:
    """One tick: when, in the schedule's zone and in the viewer's, and what is to be said of it."""

    at: datetime
    own: str
    viewer: str
    mark: str
    outcome: str = ""
    why: str = ""

    @property
    def iso(self) -> str:
        return self.at.isoformat()


@dataclass(frozen=True)
class Foretold:
    """What the fragment shows."""

    words: str = ""
    note: str = ""
    lines: Sequence[Line] = ()
    zone: str = ""
    viewer_zone: str = ""
    #: Why no tick is shown.
    empty: str = ""
    simulated: "Simulated | None" = None


@dataclass(frozen=True)
class Simulated:
    """What would become of the ticks around an outage."""

    lines: Sequence[Line]
    timeline: Timeline
    cut: bool


class OutageForm(forms.Form):
    """From when until when nobody would keep ticks; nothing of it is stored."""

    outage_from = WallClockField(label="Beat is down from", required=False)
    outage_to = WallClockField(label="until", required=False)
    viewer_zone = forms.CharField(required=False, widget=forms.HiddenInput)

    def errors_by_id(self) -> list[tuple[str, list[str]]]:
        """(id of the field, what is wrong with it)."""
        return [(self[name].id_for_label, [str(one) for one in said]) for name, said in self.errors.items()]

    def outage(self, zone: ZoneInfo) -> Outage | None:
        """The outage that was typed; None while it is none."""
        said = self.cleaned_data
        if not said.get("outage_from") or not said.get("outage_to"):
            return None
        try:
            since, until = (moment_of(said[name], zone) for name in ("outage_from", "outage_to"))
        except forms.ValidationError as error:
            self.add_error("outage_to", error)
            return None
        if until <= since:
            self.add_error("outage_to", "This must be later than the beginning.")
            return None
        return Outage(since, until)


def an_outage(row: PeriodicTask | None) -> dict[str, str]:
    """An outage to begin with, four hours from that of the next tick on; of a new schedule, the next night."""
    now = timezone.now()
    try:
        tick = next(simulate(row, now), None) if row else None
    except JobError:
        tick = None
    begins = tick.at if tick else (now + timedelta(days=1)).replace(hour=2)
    begins = begins.replace(minute=0, second=0, microsecond=0)
    return {"outage_from": begins.strftime(TYPED), "outage_to": (begins + timedelta(hours=4)).strftime(TYPED)}


def foretell(form: ScheduleForm, outages: OutageForm, now: datetime | None = None) -> Foretold:
    """What can be said of what was typed so far; errors are left in the forms."""
    outages.is_valid()
    form.is_valid()
    if not form.timing_is_sound:
        return Foretold(empty="Nothing to show yet: correct what is marked.")
    zone, viewer = form.timing.chosen_zone or UTC_ZONE, zone_or_none(outages.cleaned_data.get("viewer_zone", ""))
    return foretold_of(form.draft(), zone, viewer, outages.outage(zone), now)


def foretold_of(
    row: PeriodicTask, zone: ZoneInfo, viewer: ZoneInfo | None, outage: Outage | None, now: datetime | None = None
) -> Foretold:
    """Of a row as it is, saved or not; of a disabled one as if it were enabled now."""
    at = now or timezone.now()
    try:
        lines = next_lines(row, zone, viewer, at)
        simulated = _simulated(row, outage, zone, viewer) if outage else None
        empty = "" if lines else _why_none(row, at)
    except JobError as broken:
        return Foretold(empty=str(broken))
    return Foretold(words(row), note(row), lines, str(zone), str(viewer or ""), empty, simulated)


def next_lines(
    row: PeriodicTask, zone: ZoneInfo, viewer: ZoneInfo | None, now: datetime, number: int = NEXT
) -> list[Line]:
    """The next ticks of a schedule that would be enabled. Raises BrokenSchedule or BadTiming."""
    return [_line(shown, zone, viewer) for shown in islice(simulate(row, now), number)]


def day_and_time(at: datetime) -> str:
    """`Mon 29 Mar 2027, 08:00 CEST`; seconds where there are some, the year where it is another one."""
    day = "%a %d %b" if at.year == timezone.now().astimezone(at.tzinfo).year else "%a %d %b %Y"
    return at.strftime(f"{day}, %H:%M:%S %Z" if at.second or at.microsecond else f"{day}, %H:%M %Z")


def _line(shown: Shown, zone: ZoneInfo, viewer: ZoneInfo | None) -> Line:
    tick = shown.tick
    at = tick.at.astimezone(zone)
    told = day_and_time(at)
    if tick.first and tick.count > 1:
        told = f"{day_and_time(tick.first.astimezone(zone))} to {at:%H:%M:%S} ({tick.count} ticks)"
    seen = day_and_time(tick.at.astimezone(viewer)) if viewer else ""
    return Line(tick.at, told, seen, shown.mark, *_outcome(shown, zone))


def _outcome(shown: Shown, zone: ZoneInfo) -> tuple[str, str]:
    tick = shown.tick
    if tick.outcome != Outcome.RUN:
        return "skipped", Why(tick.why).label
    if tick.kept_at and tick.kept_at > tick.at:
        return "runs", f"at {day_and_time(tick.kept_at.astimezone(zone))}"
    return "runs", "on time"


def _simulated(row: PeriodicTask, outage: Outage, zone: ZoneInfo, viewer: ZoneInfo | None) -> Simulated:
    found = list(islice(_around(row, outage), LINES + 1))
    shown = found[:LINES]
    lines = [_line(one, zone, viewer) for one in shown]
    return Simulated(lines, timeline([one.tick for one in shown], outage, zone), cut=len(found) > LINES)


def _around(row: PeriodicTask, outage: Outage) -> Iterator[Shown]:
    """The ticks of the outage, and a few after it."""
    beyond = 0
    for shown in simulate(row, outage.since, None, [outage]):
        beyond += shown.tick.at >= outage.until
        if beyond > BEYOND:
            return
        yield shown


def _why_none(row: PeriodicTask, now: datetime) -> str:
    if not row.clocked:
        return "No tick will come: it ends before one."
    at = row.clocked.clocked_time.astimezone(UTC)
    outcome = next((one.tick.outcome for one in simulate(row, at, None, [Outage(at, now)])), Outcome.SKIPPED)
    becomes = "run at once" if outcome == Outcome.RUN else "be skipped"
    return f"This time has passed. As a missed tick it will {becomes} when it is enabled."
