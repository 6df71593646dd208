"""Where a schedule stands after an edit: from which moment its ticks count, and whether it can be run at all."""

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from jobs.conf import conf
from jobs.messages import storable
from jobs.models import ScheduleEdit
from jobs.schedules.reading import policy_of, schedule_of
from jobs.schedules.validation import hindrances
from jobs.ticking.turns import Turn
from jobs.timing.plan import plan

logger = logging.getLogger(__name__)

Live = Callable[[], Collection[str]]
#: Just before a time: from there on that time is still to come.
BEFORE = timedelta(microseconds=1)


def renew(turn: Turn) -> None:
    """Name, timing, and since when it is armed, by the row and its unread edits. Ticks move nothing here."""
    standing, row, timing = turn.standing, turn.row, turn.timing
    _come_back(turn)
    if turn.kept is None:
        standing.position = standing.anchor = _beginning(turn)
    elif timing != standing.timing:
        at = max((edit.at for edit in turn.edits), default=turn.now)
        standing.position, standing.anchor = max(standing.position, at), at
    changed = timing != standing.timing
    standing.name, standing.timing = row.name, timing
    if not row.enabled:
        standing.armed_at = None
    elif (since := _armed(turn)) is not None:
        standing.armed_at, changed = since, True
        standing.position = max(standing.position, since)
        if turn.kept is not None and row.last_run_at is None:
            standing.anchor = since
    if changed and row.enabled:
        _look_back(turn)


def is_to_be_examined(turn: Turn) -> bool:
    """Whether it may have become broken, or sound: at every edit, and from time to time while it is broken."""
    return turn.kept is None or bool(turn.edits or turn.kept.broken) or turn.timing != turn.kept.timing


def examine(turn: Turn, live: Live) -> str:
    """Why it can't be run, or ""."""
    return " ".join(f"{fault.field}: {fault.message}" for fault in hindrances(turn.row, live))


def mark_broken(turn: Turn, reason: str) -> None:
    """It waits for an edit, and is looked at again from time to time; its position stays."""
    standing = turn.standing
    if not standing.broken:
        logger.warning("Schedule %s is broken: %s", turn.row.name, reason)
        standing.broken_at = turn.now
    standing.broken = storable(reason)[:500]
    standing.next_tick = None
    standing.wake_at = turn.now + timedelta(seconds=conf().broken_again)


def mark_sound(turn: Turn) -> None:
    turn.standing.broken, turn.standing.broken_at = "", None


def set_alarm(turn: Turn) -> None:
    """When its next tick is, and when beat must look at it again."""
    row, standing = turn.row, turn.standing
    if not row.enabled or turn.over:
        standing.next_tick = None
        standing.wake_at = turn.policy.resume_at if not row.enabled else None
        return
    ticks = plan(schedule_of(row, standing.anchor), policy_of(row), after=standing.position, until=None)
    first = next(ticks, None)
    standing.next_tick = first.at if first and not (row.one_off and standing.waiting_tick) else None
    wakes = [at for at in (standing.next_tick, row.expires) if at is not None]
    standing.wake_at = min(wakes, default=None)


def _come_back(turn: Turn) -> None:
    """The database's clock was put back, by more than clocks are corrected by: what was kept in a future that is none
    any more has its record, so no tick comes twice; what was not comes at its time."""
    for name in ("position", "anchor", "armed_at"):
        at = getattr(turn.standing, name)
        if at is not None and at > turn.now + timedelta(seconds=conf().late_after):
            setattr(turn.standing, name, turn.now)


def _beginning(turn: Turn) -> datetime:
    """Of one that beat has never read: when it was enabled; of one older than we are: its last run."""
    if turn.edits:
        return _enabled_at(turn.edits) or turn.edits[-1].at
    return min(turn.row.last_run_at or turn.row.date_changed or turn.now, turn.now)


def _armed(turn: Turn) -> datetime | None:
    """The moment from which an enabled row is enabled, if the standing does not know it."""
    armed, enabled = turn.standing.armed_at, _enabled_at(turn.edits)
    if turn.kept is None:
        return turn.standing.position
    if armed is None:
        return enabled or max((edit.at for edit in turn.edits), default=turn.now)
    return enabled if enabled is not None and enabled > armed else None


def _enabled_at(edits: list[ScheduleEdit]) -> datetime | None:
    return max((edit.at for edit in edits if edit.kind == ScheduleEdit.Kind.ENABLED), default=None)


def _look_back(turn: Turn) -> None:
    """A single time that has passed when it is set or enabled counts as missed: the policy decides."""
    clocked = turn.row.clocked
    if clocked is not None:
        turn.standing.position = min(turn.standing.position, clocked.clocked_time - BEFORE)
