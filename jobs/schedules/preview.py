"""The ticks of a schedule as a person reads them: the next ones, and what an outage would make of them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.errors import JobError
from jobs.models import ScheduleStanding
from jobs.policies import Outcome
from jobs.schedules.reading import fingerprint, policy_of, schedule_of, timing_of
from jobs.timing.cron import Cron
from jobs.timing.plan import Outage, Tick, Timing, plan
from jobs.timing.words import mark
from jobs.timing.words import words as words_of

AN_INSTANT = timedelta(microseconds=1)
BOTH_DAYS = "Days of the month and days of the week must both fit, as Celery has it; in cron itself either would do."


@dataclass(frozen=True)
class Shown:
    """A tick beside the timing it belongs to, to be told in any zone."""

    tick: Tick
    timing: Timing

    @property
    def at(self) -> datetime:
        """The planned time in the schedule's own zone."""
        return self.tick.at.astimezone(self.timing.zone)

    @property
    def mark(self) -> str:
        """What a clock change does to it, or ""."""
        return mark(self.tick.at, self.timing)

    def told(self, moment: datetime) -> datetime:
        """A moment of the tick (`kept_at`, `run_at`, `first`) in the schedule's own zone."""
        return moment.astimezone(self.timing.zone)


def next_ticks(row: PeriodicTask, number: int = 5, after: datetime | None = None) -> list[datetime]:
    """The next `number` ticks in the schedule's zone; none of one that is off, unreadable, or has run its only time."""
    return [shown.at for shown in shown_ticks(row, number, after)]


def shown_ticks(row: PeriodicTask, number: int = 5, after: datetime | None = None) -> list[Shown]:
    """The same with the marks of clock changes."""
    if not row.enabled or (row.one_off and row.total_run_count):
        return []
    with suppress(JobError):
        return list(islice(simulate(row, (after or timezone.now()) + AN_INSTANT), number))
    return []


def simulate(
    row: PeriodicTask, since: datetime, until: datetime | None = None, outages: Sequence[Outage] = ()
) -> Iterator[Shown]:
    """What becomes of each tick from `since` to `until`, if beat were down in these outages. Also of a disabled row.

    Raises BrokenSchedule or BadTiming, at once.
    """
    schedule = schedule_of(row, anchor_of(row))
    ticks = plan(schedule, policy_of(row), since.astimezone(UTC) - AN_INSTANT, until, outages)
    return (Shown(tick, schedule.timing) for tick in ticks)


def words(row: PeriodicTask) -> str:
    """When, for everybody who shows it; of a row that can't be read, why."""
    try:
        return words_of(_timing(row))
    except JobError as broken:
        return str(broken)


def note(row: PeriodicTask) -> str:
    """What surprises people who know cron, or ""."""
    with suppress(JobError):
        timing = _timing(row)
        if isinstance(timing, Cron) and "*" not in (timing.day_of_month.strip(), timing.day_of_week.strip()):
            return BOTH_DAYS
    return ""


def zone_of(row: PeriodicTask) -> ZoneInfo:
    """The zone that its ticks are told in. Raises BrokenSchedule or BadTiming."""
    return _timing(row).zone


def anchor_of(row: PeriodicTask) -> datetime:
    """What an interval counts from: as beat has it; of a timing that beat has not read yet, this moment."""
    standing: ScheduleStanding | None = getattr(row, "standing", None)
    if standing is None:
        return row.last_run_at or row.date_changed or timezone.now()
    with suppress(ObjectDoesNotExist):
        if standing.timing == fingerprint(row):
            return standing.anchor
    return timezone.now()


def runs(shown: Shown) -> bool:
    return shown.tick.outcome == Outcome.RUN


def _timing(row: PeriodicTask) -> Timing:
    return timing_of(row, anchor_of(row))
