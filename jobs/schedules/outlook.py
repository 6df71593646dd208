"""How schedules are doing: state, next tick, last tick. One reading for console, API, command and doctor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import router
from django.db.models import OuterRef, Subquery, TextChoices
from django_celery_beat.models import PeriodicTask

from jobs.conf import conf
from jobs.lifecycle.moment import now
from jobs.models import Job, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.policies import Outcome, Why
from jobs.schedules.preview import next_ticks
from jobs.spans import span

AT_ONCE = 1_000


class State(TextChoices):
    """What a person has to know first."""

    ENABLED = "enabled", "Enabled"
    LATE = "late", "Late"
    BROKEN = "broken", "Broken"
    PAUSED = "paused", "Paused"
    PAUSED_UNTIL = "paused until", "Paused until"
    #: Ran its one time.
    DONE = "done", "Done"
    #: Past its end.
    ENDED = "ended", "Ended"
    #: Switched off without a note.
    DISABLED = "disabled", "Disabled"


@dataclass(frozen=True)
class Last:
    """The last tick (or run by hand) and what became of it."""

    at: datetime
    outcome: Outcome
    why: Why
    #: So many were skipped together.
    count: int
    #: Seconds from its time to the moment when beat came to it.
    lateness: float
    job_id: str | None
    #: The job's state; "" without one, or when it is pruned.
    job_state: str
    #: Who pressed *Run now*; "" of a tick.
    by: str


@dataclass(frozen=True)
class Outlook:
    state: State
    #: A sentence or a person's words; "" when there is nothing to say.
    reason: str = ""
    #: In UTC. In the past: it should have come.
    next_tick: datetime | None = None
    #: Seconds since a next tick that should have come; None while it is on time.
    late_by: float | None = None
    last: Last | None = None


def outlook(row: PeriodicTask) -> Outlook:
    """How one schedule is doing."""
    return outlooks([row])[row.pk]


def outlooks(rows: Sequence[PeriodicTask]) -> dict[int, Outlook]:
    """How each is doing, by key, in the same few statements for one and for thousands (`rows.readable` rows)."""
    at = now(router.db_for_read(ScheduleTick))
    last = {key: one for part in _parts([row.pk for row in rows]) for key, one in _last(part)}
    return {row.pk: _outlook(row, last.get(row.pk), at) for row in rows}


def _outlook(row: PeriodicTask, last: Last | None, at: datetime) -> Outlook:
    if not row.enabled:
        state, reason = _off(row, last, at)
        return Outlook(state, reason, last=last)
    standing: ScheduleStanding | None = getattr(row, "standing", None)
    if standing and standing.broken:
        return Outlook(State.BROKEN, standing.broken, last=last)
    coming = standing.next_tick if standing else next(iter(next_ticks(row, 1, at)), None)
    if coming is None:
        return Outlook(*_without_a_tick(row, standing, at), last=last)
    late_by = (at - coming).total_seconds()
    if coming < at - timedelta(seconds=conf().late_after):
        return Outlook(State.LATE, f"It was due {span(late_by)} ago.", coming, late_by, last)
    waits = "Waits for the job of an earlier tick to end." if standing and standing.waiting_tick else ""
    return Outlook(State.ENABLED, waits, coming, late_by if late_by > 0 else None, last)


def _off(row: PeriodicTask, last: Last | None, at: datetime) -> tuple[State, str]:
    policy: SchedulePolicy | None = getattr(row, "policy", None)
    if policy and policy.paused_at:
        said = ": ".join(part for part in (policy.paused_by, policy.pause_reason) if part)
        return (State.PAUSED_UNTIL if policy.resume_at else State.PAUSED), said
    if row.expires and row.expires <= at:
        return State.ENDED, ""
    has_run = last is not None and last.outcome == Outcome.RUN and not last.by
    return (State.DONE if row.one_off and (has_run or row.last_run_at) else State.DISABLED), ""


def _without_a_tick(row: PeriodicTask, standing: ScheduleStanding | None, at: datetime) -> tuple[State, str]:
    """Enabled, and none comes: it has ended, or beat has not read it yet."""
    if row.expires and row.expires <= at:
        return State.ENDED, "No tick will come before its end."
    unread = standing.armed_at is None if standing else row.clocked is not None and row.last_run_at is None
    if unread:
        return State.ENABLED, "Beat has not read it yet."
    return State.ENDED, "No tick will come."


def _parts(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), AT_ONCE):
        yield keys[start : start + AT_ONCE]


def _last(keys: Sequence[int]) -> Iterator[tuple[int, Last]]:
    newest = ScheduleTick.objects.filter(schedule_id=OuterRef("pk")).order_by("-at").values("pk")[:1]
    of_each = PeriodicTask.objects.filter(pk__in=keys).annotate(newest=Subquery(newest)).values("newest")
    ticks = list(ScheduleTick.objects.filter(pk__in=of_each))
    states = dict(Job.objects.filter(id__in=[t.job_id for t in ticks if t.job_id]).values_list("id", "state"))
    for tick in ticks:
        yield tick.schedule_id, last_of(tick, states.get(tick.job_id or "", ""))


def last_of(tick: ScheduleTick, job_state: str = "") -> Last:
    """A tick's row as it is shown."""
    return Last(
        at=tick.at,
        outcome=Outcome(tick.outcome),
        why=Why(tick.why),
        count=tick.count,
        lateness=max(0.0, (tick.decided_at - tick.at).total_seconds()),
        job_id=tick.job_id,
        job_state=job_state,
        by=tick.by,
    )
