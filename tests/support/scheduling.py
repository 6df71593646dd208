"""Schedules of a station: made, edited and read through its console, and what must be true of their ticks."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.lifecycle import moment
from jobs.models import Job, ScheduleEdit, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.policies import Outcome
from jobs.schedules.reading import policy_of, schedule_of
from jobs.timing.plan import Outage, Policy, plan
from tests.support.station import Station

NOTE = "tests.plain_tasks.note"
#: Each tick runs, however late a busy machine comes to it.
ALL = {"missed": "all", "missed_limit": 1000}


@dataclass(frozen=True)
class Wish:
    """A schedule as a test wants it: one of `every` (seconds), `cron` and `at`; more columns; its policy."""

    name: str
    every: int | None = None
    cron: Mapping[str, str] | None = None
    at: datetime | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)


# --- in the station ---


def install(wishes: Collection[Wish]) -> dict[str, int]:
    """Saves these schedules, enabled; they note their own name unless told otherwise. Their ids by name."""
    return {wish.name: _install(wish) for wish in wishes}


def _install(wish: Wish) -> int:
    columns = {"task": NOTE, "args": json.dumps([wish.name]), **_timing(wish), **wish.columns}
    if columns["task"] != NOTE and "args" not in wish.columns:
        columns["args"] = "[]"
    row = PeriodicTask(name=wish.name, **columns)
    row.save()
    if wish.policy:
        SchedulePolicy.objects.create(schedule=row, **wish.policy)
    return int(row.pk)


def _timing(wish: Wish) -> dict[str, Any]:
    """A row of its own for each, so that one can be spoiled without the others."""
    if wish.every is not None:
        return {"interval": IntervalSchedule.objects.create(every=wish.every, period=IntervalSchedule.SECONDS)}
    if wish.cron is not None:
        return {"crontab": CrontabSchedule.objects.create(**wish.cron)}
    return {"clocked": ClockedSchedule.objects.create(clocked_time=wish.at), "one_off": True}


def now() -> datetime:
    """The database's time."""
    return moment.now(DEFAULT_DB_ALIAS)


def switch_off_all() -> None:
    """No schedule ticks any more. The rows stay, so that no beat installs the built-in ones again."""
    PeriodicTask.objects.update(enabled=False)


def update(name: str, /, **columns: Any) -> None:
    """As somebody does it who knows nothing of beat."""
    assert PeriodicTask.objects.filter(name=name).update(**columns) == 1


def save(name: str, /, **columns: Any) -> None:
    """As the admin does it."""
    row = PeriodicTask.objects.get(name=name)
    for column, value in columns.items():
        setattr(row, column, value)
    row.save()


def retime(name: str, seconds: int) -> None:
    """Another interval, by an edit of the timing's own row."""
    [interval] = IntervalSchedule.objects.filter(periodictask__name=name)
    interval.every = seconds
    interval.save()


def delete(name: str) -> None:
    PeriodicTask.objects.get(name=name).delete()


def columns_of(name: str) -> dict[str, Any]:
    """The row."""
    return dict(PeriodicTask.objects.filter(name=name).values().get())


def standing_of(name: str) -> dict[str, Any]:
    """Where beat stands with it; {} if it has not seen it yet."""
    return dict(ScheduleStanding.objects.filter(schedule__name=name).values().first() or {})


def standing() -> set[str]:
    """The names of the schedules that beat knows, when it has read every edit; else none."""
    if ScheduleEdit.objects.exists():
        return set()
    return set(ScheduleStanding.objects.values_list("name", flat=True))


def ticks_of(name: str) -> list[dict[str, Any]]:
    """What became of its ticks, in their order."""
    return [dict(row) for row in ScheduleTick.objects.filter(schedule__name=name).order_by("at").values()]


def jobs_of(name: str) -> list[dict[str, Any]]:
    """The jobs that carry its name, in the order of their acceptance."""
    return [dict(row) for row in Job.objects.filter(schedule=name).order_by("created_at").values()]


def positions(names: Collection[str]) -> dict[str, datetime]:
    """Up to where each is settled."""
    return dict(ScheduleStanding.objects.filter(name__in=names).values_list("name", "position"))


def set_back(name: str, last: datetime) -> None:
    """As a row from before us: it ran last then, and nobody has stood with it since."""
    update(name, last_run_at=last, date_changed=last)
    row = PeriodicTask.objects.get(name=name)
    ScheduleEdit.objects.filter(schedule_id=row.pk).delete()
    ScheduleStanding.objects.filter(schedule_id=row.pk).delete()


def planned(name: str, after: datetime, until: datetime, outages: Collection[Outage] = ()) -> list[dict[str, Any]]:
    """What the pure function says of it, as rows of ticks."""
    row = PeriodicTask.objects.select_related("policy").get(name=name)
    schedule = schedule_of(row, ScheduleStanding.objects.get(schedule_id=row.pk).anchor)
    return [
        {"at": tick.at, "outcome": tick.outcome, "why": tick.why, "count": tick.count}
        for tick in plan(schedule, policy_of(row), after, until, tuple(outages))
    ]


def times(name: str, after: datetime, until: datetime) -> list[datetime]:
    """Every planned time in (after, until], whatever became of it."""
    row = PeriodicTask.objects.get(name=name)
    schedule = schedule_of(row, ScheduleStanding.objects.get(schedule_id=row.pk).anchor)
    return [tick.at for tick in plan(schedule, Policy(), after, until)]


# --- in the test ---


def set_up(station: Station, *wishes: Wish) -> dict[str, int]:
    """A station with these schedules alone; their ids by name."""
    station.call(switch_off_all)
    return station.call(install, wishes)


def stands(station: Station, *names: str, timeout: float = 30) -> None:
    """Waits until beat has taken up these schedules."""
    station.wait(lambda: station.call(standing) >= set(names), timeout, f"beat to know {names}")


def ticked(station: Station, name: str, times: int = 1, timeout: float = 30) -> list[dict[str, Any]]:
    """Waits until so many ticks of it are recorded; all of them."""
    look: Callable[[], Any] = lambda: len(found := station.call(ticks_of, name)) >= times and found  # noqa: E731
    return list(station.wait(look, timeout, f"{times} ticks of {name}"))


def check_once_each(station: Station, name: str) -> list[dict[str, Any]]:
    """Each tick that ran has one job, each job a tick; the ticks."""
    ticks, jobs = station.call(ticks_of, name), station.call(jobs_of, name)
    ran = [tick["job_id"] for tick in ticks if tick["outcome"] == Outcome.RUN]
    assert sorted(ran) == sorted(job["id"] for job in jobs), f"{name}: {ticks}\n{jobs}"
    assert len({tick["at"] for tick in ticks}) == len(ticks), f"{name}: {ticks}"
    return list(ticks)


def check_gapless(station: Station, name: str, since: datetime | None = None) -> list[dict[str, Any]]:
    """Each planned time from `since` (the first recorded one) to where beat stands is in one recorded tick."""
    ticks = check_once_each(station, name)
    position = station.call(positions, [name])[name]
    first = since or (ticks[0]["first_at"] or ticks[0]["at"]) - timedelta(milliseconds=1)
    for tick in ticks:
        covered = station.call(times, name, (tick["first_at"] or tick["at"]) - timedelta(milliseconds=1), tick["at"])
        assert len(covered) == tick["count"], f"{name}: {tick} counts {covered}"
    wanted = station.call(times, name, first, position)
    assert sum(tick["count"] for tick in ticks) == len(wanted), f"{name}: {wanted}\n{ticks}"
    assert {tick["at"] for tick in ticks} <= set(wanted), f"{name}: {wanted}\n{ticks}"
    return ticks
