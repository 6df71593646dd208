"""Ticks prepared before their moment: when many schedules tick at once, only the transaction is left for it.

At the tick one statement tells whether anything that was read has changed since. If so, all is done anew.
"""

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from celery import current_app, signals
from django.db import DatabaseError, InterfaceError, connections
from django_celery_beat.models import PeriodicTask

from jobs.ledger.execution import DurableTask
from jobs.ledger.publish import collecting
from jobs.models import Job, ScheduleStanding, ScheduleTick
from jobs.policies import Outcome, Overlap
from jobs.registry import registered_tasks
from jobs.schedules.reading import policy_of, schedule_of
from jobs.schedules.rows import readable
from jobs.schedules.sending import send
from jobs.ticking.rereading import differs
from jobs.ticking.turns import Turn
from jobs.timing.plan import Tick, plan

#: So many in a look-ahead can as well be done at their moment.
FEW = 10
#: Prepared in one step: a tick that becomes due meanwhile waits no longer than for these.
STEP = 20
#: A tick that beat comes to later than this is not on time any more, and planned anew.
ON_TIME = timedelta(seconds=1)
#: All that a tick goes by.
_TABLES = (
    "django_celery_beat_periodictask AS task JOIN jobs_schedulestanding AS standing ON standing.schedule_id = task.id "
    "LEFT JOIN jobs_schedulepolicy AS policy ON policy.schedule_id = task.id "
    "LEFT JOIN django_celery_beat_intervalschedule AS every ON every.id = task.interval_id "
    "LEFT JOIN django_celery_beat_crontabschedule AS cron ON cron.id = task.crontab_id "
    "LEFT JOIN django_celery_beat_clockedschedule AS once ON once.id = task.clocked_id "
    "LEFT JOIN django_celery_beat_solarschedule AS sun ON sun.id = task.solar_id"
)
#: An edit that beat has not read may be one that nothing is left to see of: off and on again is a new start.
_UNEDITED = "NOT EXISTS (SELECT 1 FROM jobs_scheduleedit AS edit WHERE edit.schedule_id = task.id)"
#: On PostgreSQL each row as one text: its columns are read by nobody, and times take long. (`task` alone is a column.)
_COLUMNS = {
    "sqlite": "*",
    "postgresql": ", ".join(f"({table}.*)::text" for table in "task standing policy every cron once sun".split()),
}

Seen = tuple[Any, ...]


@dataclass(frozen=True)
class Prepared:
    """One tick that will run unless something changes: its unsaved job, and the tick after it."""

    seen: Seen
    row: PeriodicTask
    standing: ScheduleStanding
    tick: Tick
    following: datetime | None
    job: Job

    def is_on_time(self, now: datetime) -> bool:
        ends = [at for at in (self.following, self.row.expires, self.tick.at + ON_TIME) if at is not None]
        return self.tick.at <= now < min(ends)

    def turn(self, now: datetime) -> Turn:
        """What becomes of the schedule."""
        turn = Turn(self.row, self.standing, [], now)
        turn.ran, turn.job = 1, self.job
        run = {"outcome": Outcome.RUN, "job_id": self.job.id, "decided_at": now}
        turn.ticks = [ScheduleTick(schedule_id=self.row.pk, at=self.tick.at, **run)]
        turn.standing = copy(self.standing)
        turn.standing.position, turn.standing.next_tick = now, self.following
        turn.standing.wake_at = min((at for at in (self.following, self.row.expires) if at is not None), default=None)
        return turn


class Ahead:
    """What is prepared, by schedule; each is tried once for each of its ticks."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.prepared: dict[int, Prepared] = {}
        self._tried: dict[int, datetime] = {}

    def step(self, wakes: dict[int, datetime]) -> bool:
        """Prepare some that wake soon; whether there was anything to do."""
        self.forget([schedule for schedule in self._tried if schedule not in wakes])
        if len(wakes) <= FEW or _somebody_listens():
            return False
        missing = list(islice((s for s, at in wakes.items() if self._tried.get(s) != at), STEP))
        if missing:
            self._tried.update({schedule: wakes[schedule] for schedule in missing})
            self._prepare(missing)
        return bool(missing)

    def forget(self, ids: Iterable[int]) -> None:
        for schedule in ids:
            self.prepared.pop(schedule, None)
            self._tried.pop(schedule, None)

    def _prepare(self, ids: Collection[int]) -> None:
        """Whatever is wrong with a row comes to light at its tick."""
        try:
            seen = _look(ids, self.using)
            rows = list(readable(PeriodicTask.objects.using(self.using).filter(pk__in=ids, enabled=True)))
        except (DatabaseError, InterfaceError):
            raise
        except Exception:  # noqa: BLE001
            return
        for row in rows:
            try:
                if row.pk in seen and _is_plain(row):
                    self.prepared[row.pk] = _prepared(row, seen[row.pk])
            except Exception:  # noqa: BLE001, S112
                continue


def unchanged(ids: Collection[int], prepared: Mapping[int, Prepared], now: datetime, using: str) -> list[Prepared]:
    """Of these schedules, locked, those whose tick is as it was prepared."""
    due = [prepared[schedule] for schedule in ids if schedule in prepared and prepared[schedule].is_on_time(now)]
    seen = _look([one.row.pk for one in due], using) if due else {}
    return [one for one in due if seen.get(one.row.pk) == one.seen]


def _look(ids: Collection[int], using: str) -> dict[int, Seen]:
    """Each row with all that belongs to it, as the driver tells it; none that has an unread edit."""
    columns, marks = _COLUMNS[connections[using].vendor], ", ".join(["%s"] * len(ids))
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"SELECT task.id, {columns} FROM {_TABLES} WHERE task.id IN ({marks}) AND {_UNEDITED}", list(ids)
        )
        return {row[0]: row for row in cursor.fetchall()}


def _is_plain(row: PeriodicTask) -> bool:
    """Whether nothing but its own row says what becomes of its tick, and building its job has no side effect."""
    standing, policy = getattr(row, "standing", None), getattr(row, "policy", None)
    task: Any = registered_tasks().get(row.task)
    if standing is None or differs(row) or standing.broken or standing.waiting_tick or row.one_off:
        return False
    if policy is not None and (policy.overlap != Overlap.ALLOW or policy.pause_after or policy.max_lateness == 0):
        return False
    return type(task).apply_async is DurableTask.apply_async


def _prepared(row: PeriodicTask, seen: Seen) -> Prepared:
    standing: Any = row.standing
    ticks = plan(schedule_of(row, standing.anchor), policy_of(row), after=standing.position, until=None)
    tick, following = next(ticks), next(ticks, None)
    with collecting() as batch:
        send(row, tick.at, tick.at, tick.run_at)
        [job], batch.jobs = batch.jobs, []
        batch.tags.clear()
    return Prepared(seen, row, standing, tick, following.at if following else None, job)


def _somebody_listens() -> bool:
    """Who listens to publishing is told of jobs that are posted, not of what may be prepared in vain."""
    receivers = signals.before_task_publish.receivers or signals.after_task_publish.receivers
    return bool(receivers or current_app.conf.task_send_sent_event)
