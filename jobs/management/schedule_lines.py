"""Schedules and their ticks as lines of a table, or as JSON."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django_celery_beat.models import PeriodicTask

from jobs.errors import JobError
from jobs.schedules.drift import Drift
from jobs.schedules.outlook import State, outlook
from jobs.schedules.preview import Shown, runs, zone_of


def zone(row: PeriodicTask) -> ZoneInfo:
    """The schedule's own; UTC of one that can't be read, for that can be paused too."""
    try:
        return zone_of(row)
    except JobError:
        return ZoneInfo("UTC")


def standing(row: PeriodicTask) -> str:
    """`It is paused until 2027-01-01 10:00:00+00:00 (ann: The CRM is down)`."""
    found = outlook(row)
    until = f" {_short(row.policy.resume_at.astimezone(zone(row)))}" if found.state == State.PAUSED_UNTIL else ""
    return f"It is {found.state.value}{until}{f' ({found.reason})' if found.reason else ''}"


def warning(row: PeriodicTask) -> str:
    """Of a broken one, whose planned ticks are nothing to wait for; of others ""."""
    broken = outlook(row).state == State.BROKEN
    return f"{standing(row)}: none of these runs before it is mended." if broken else ""


def line(row: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """A schedule as one line of the table, its times as its own clocks show them."""
    last = row["last_tick"]
    told = [last["outcome"], last["why"] or last["job_state"]] if last else []
    coming = row["next_tick"] if row["state"] in (State.LATE, State.BROKEN) else next(iter(row["next"]), None)
    until = row["resumes_at"]
    return {
        **row,
        "state": f"{row['state']} {_local(until, zone)}" if until else row["state"],
        "next": _local(coming, zone) if coming else None,
        "last": ": ".join(part for part in told if part),
    }


def facts(shown: Shown) -> dict[str, Any]:
    """A tick in the schedule's zone and in UTC, and what becomes of it, as JSON."""
    tick = shown.tick
    times = {"first": tick.first, "looked_at": tick.kept_at, "starts": tick.run_at}
    return {
        "tick": shown.at.isoformat(),
        "utc": tick.at.astimezone(UTC).isoformat(),
        "clocks": shown.mark,
        "outcome": tick.outcome.value,
        "why": tick.why.value,
        "count": tick.count,
        **{name: shown.told(at).isoformat() if at else None for name, at in times.items()},
    }


def told(shown: Shown) -> dict[str, str]:
    """The same as a line of the table."""
    return {
        "tick": _short(shown.at),
        "utc": _short(shown.tick.at.astimezone(UTC)),
        "clocks": shown.mark,
        "outcome": _becomes(shown),
    }


def differs(difference: Drift) -> str:
    """`nightly: queue is 'emails', declared 'heavy'.`"""
    found, declared = difference.found, difference.declared
    return f"{difference.name}: {difference.field} is {found!r}, declared {declared!r}."


def _becomes(shown: Shown) -> str:
    """`runs`, `runs at 06:00:00`, `skipped with the 46 before it, from 02:00:00 on: Beat was down; ...`."""
    tick = shown.tick
    if runs(shown):
        late = tick.run_at is not None and tick.run_at > tick.at
        return f"runs at {_short(shown.told(tick.run_at))}" if late and tick.run_at else "runs"
    others = f" with the {tick.count - 1} before it, from {_short(shown.told(tick.first))} on" if tick.first else ""
    return f"skipped{others}: {tick.why.label}"


def _local(text: str, zone: ZoneInfo) -> str:
    return _short(datetime.fromisoformat(text).astimezone(zone))


def _short(moment: datetime) -> str:
    return moment.isoformat(" ", "seconds")
