"""What a schedule did and what was done to it: its last ticks with their jobs, its edits before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.expressions import RawSQL
from django_celery_beat.models import PeriodicTask

from jobs.console.arguments import pretty
from jobs.console.drawing import ICONS as STATE_ICONS
from jobs.console.drawing import TONES as STATE_TONES
from jobs.console.drawing import exact
from jobs.console.schedules.timing_form import CALENDAR, FIELDS
from jobs.console.typed_arguments import stored
from jobs.models import Activity, Job, SchedulePolicy, ScheduleTick
from jobs.policies import Outcome, Why
from jobs.redaction import MASK, redacted
from jobs.registry import registered_tasks
from jobs.schedules.preview import words
from jobs.spans import span
from jobs.states import State

LAST = 20
PLAIN = (
    "name",
    "task",
    "queue",
    "start_time",
    "expires",
    "expire_seconds",
    "one_off",
    "priority",
    "headers",
    "description",
)
POLICY = ("missed", "missed_limit", "max_lateness", "overlap", "jitter", "pause_after")


@dataclass(frozen=True)
class Kept:
    """A tick and the job it enqueued, as they are shown. The job is None when there is none, or it is pruned."""

    tick: ScheduleTick
    job: Job | None

    @property
    def icon(self) -> str:
        state = self._state
        return STATE_ICONS[state] if state else {"waits": "◔", "run": "•"}.get(self.tick.outcome, "–")

    @property
    def tone(self) -> str:
        state = self._state
        return STATE_TONES.get(state, "") if state else {"waits": "busy"}.get(self.tick.outcome, "")

    @property
    def word(self) -> str:
        """What became of it: the job's state, or that it was skipped."""
        state = self._state
        return str(state.label) if state else {"run": "Ran", "waits": "Waits"}.get(self.tick.outcome, "Skipped")

    @property
    def reason(self) -> str:
        """Why it was skipped, who started it by hand; "" of a plain tick."""
        if self.tick.by:
            return f"By hand, by {self.tick.by}"
        return (
            Why(self.tick.why).label
            if self.tick.why
            else Outcome.WAITS.label
            if self.tick.outcome == Outcome.WAITS
            else ""
        )

    @property
    def told(self) -> str:
        """Its time in UTC; of several that were skipped together, from the first to the last."""
        at = f"{self.tick.at:%Y-%m-%d %H:%M:%S}"
        first = self.tick.first_at if self.tick.count > 1 else None
        return f"{first:%Y-%m-%d %H:%M:%S} to {at}" if first else at

    @property
    def lateness(self) -> str:
        late = (self.tick.decided_at - self.tick.at).total_seconds()
        return "" if self.tick.by or self.tick.outcome != Outcome.RUN else span(max(0.0, late))

    @property
    def duration(self) -> str:
        if self.tick.outcome != Outcome.RUN or not self.job or not self.job.started_at or not self.job.finished_at:
            return ""
        return span(self.job.finished_at - self.job.started_at)

    @property
    def title(self) -> str:
        """The whole of it in one line, for a mark of the strip."""
        many = f" ({self.tick.count} ticks)" if self.tick.count > 1 else ""
        return f"{exact(self.tick.at)}{many}: {self.word}" + (f". {self.reason}" if self.reason else "")

    @property
    def _state(self) -> State | None:
        """Of a skipped tick the job is the one that kept it from running."""
        return State(self.job.state) if self.job and self.tick.outcome == Outcome.RUN else None


def last_ticks(keys: Sequence[int], number: int = LAST) -> dict[int, list[Kept]]:
    """The last ticks of each of these schedules, the newest first: two statements, `number` index entries for each."""
    found: dict[int, list[Kept]] = {key: [] for key in keys}
    ticks = list(ScheduleTick.objects.filter(pk__in=_last_keys(keys, number)).order_by("-at")) if keys else []
    ids = [tick.job_id for tick in ticks if tick.job_id]
    jobs = {job.pk: job for job in Job.objects.filter(pk__in=ids).only("state", "started_at", "finished_at")}
    for tick in ticks:
        found[tick.schedule_id].append(Kept(tick, jobs.get(tick.job_id)))
    return found


def _last_keys(keys: Sequence[int], number: int) -> RawSQL:
    one = f"SELECT * FROM (SELECT id FROM jobs_scheduletick WHERE schedule_id = %s ORDER BY at DESC LIMIT {number}) one"
    return RawSQL(" UNION ALL ".join([one] * len(keys)), list(keys))  # noqa: S611  (no word of a person is in it)


def edits(row: PeriodicTask, number: int = LAST) -> list[Activity]:
    """What people did to it, the newest first, also under the names that it had before."""
    found: list[Activity] = []
    name, of_all = row.name, Activity.objects.filter(kind="schedule")
    while name and len(found) < number:
        of_name, name = of_all.filter(key=name), ""
        for edit in of_name[: number - len(found)]:
            found.append(edit)
            if name := _name_before(edit):
                of_all = of_all.filter(pk__lt=edit.pk)
                break
    return found


def told(row: PeriodicTask) -> dict[str, str]:
    """The schedule field by field, as its history tells it: without secrets."""
    policy = getattr(row, "policy", None) or SchedulePolicy()
    args, kwargs = _shown(row)
    return {
        **{name: _text(getattr(row, name)) for name in PLAIN},
        "timing": _timing(row),
        "args": args,
        "kwargs": kwargs,
        **{name: _text(getattr(policy, name)) for name in POLICY},
    }


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, list[str]]:
    """name → [before, after] of what changed; of a new schedule what is set."""
    names = [name for name in after if before.get(name, "") != after[name]]
    return {name: [before.get(name, ""), after[name]] for name in names}


def _name_before(edit: Activity) -> str:
    """The name that this edit took from it, or ""."""
    before: str = edit.facts.get("changed", {}).get("name", [""])[0]
    return before


def _shown(row: PeriodicTask) -> tuple[str, str]:
    try:
        args, kwargs = redacted(registered_tasks().get(row.task), *stored(row.args, row.kwargs))
    except ValueError:
        return MASK, MASK
    return pretty(args), pretty(kwargs)


def _timing(row: PeriodicTask) -> str:
    """The words, and the line where the words may be the same for two."""
    line = " ".join(str(getattr(row.crontab, name)) for name in FIELDS[CALENDAR]) if row.crontab else ""
    return f"{words(row)} ({line})" if line else words(row)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return exact(value)
    named = {True: "yes", False: "no", None: ""}
    return named[value] if value is None or isinstance(value, bool) else str(value)
