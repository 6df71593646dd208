"""Schedules in a test's own hands: rows as people make them, time put back, what became of their ticks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.lifecycle import moment
from jobs.messages import loads
from jobs.models import Job, ScheduleEdit, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.ticking import firing
from jobs.ticking.firing import Settled

USING = "default"
TASK = "tests.plain_tasks.whoami"


def ago(seconds: float) -> datetime:
    """The database's time so many seconds ago; negative: to come."""
    return moment.now(USING) - timedelta(seconds=seconds)


def scheduled(name: str = "plain", *, every: int = 10, **columns: Any) -> PeriodicTask:
    """An enabled interval (seconds), or what `columns` say, as beat has read it."""
    if not {"crontab", "clocked", "solar", "interval"} & set(columns):
        columns["interval"] = IntervalSchedule.objects.create(every=every, period="seconds")
    row = PeriodicTask.objects.create(name=name, task=columns.pop("task", TASK), **columns)
    settle(row)
    return row


def cron(**fields: str) -> CrontabSchedule:
    return CrontabSchedule.objects.create(**{"timezone": "UTC", **fields})


def clocked(at: datetime) -> ClockedSchedule:
    return ClockedSchedule.objects.create(clocked_time=at)


def settle(*rows: PeriodicTask) -> Settled:
    """What beat does with these rows now."""
    return firing.settle([row.pk for row in rows], USING)


def put_back(row: PeriodicTask, seconds: float) -> None:
    """As if beat had settled its ticks, and an interval had begun, so many seconds ago, and nobody had come since."""
    then = ago(seconds)
    ScheduleStanding.objects.filter(pk=row.pk).update(position=then, anchor=then, wake_at=then)


def missed(row: PeriodicTask, number: int, every: int = 10) -> None:
    """So many ticks of its interval are due, the last of them half an interval late."""
    put_back(row, every * (number + 0.5))


def keep(row: PeriodicTask, **policy: Any) -> None:
    """Give it a policy, which beat has read."""
    SchedulePolicy.objects.update_or_create(schedule=row, defaults=policy)
    settle(row)


def stands(row: PeriodicTask) -> ScheduleStanding:
    return ScheduleStanding.objects.get(pk=row.pk)


def fresh(row: PeriodicTask) -> PeriodicTask:
    return PeriodicTask.objects.get(pk=row.pk)


def ticks(row: PeriodicTask) -> list[ScheduleTick]:
    return list(ScheduleTick.objects.filter(schedule_id=row.pk).order_by("at"))


def outcomes(row: PeriodicTask) -> list[tuple[str, str, int]]:
    """(outcome, why, how many ticks together), in order of time."""
    return [(str(tick.outcome), str(tick.why), tick.count) for tick in ticks(row)]


def enqueued(row: PeriodicTask) -> list[Job]:
    return list(Job.objects.filter(schedule=row.name).order_by("created_at", "id"))


def headers(job: Job) -> dict[str, Any]:
    return dict(loads(job.envelope)["headers"])


def edits(row: PeriodicTask) -> list[str]:
    """Kinds of its unread edits."""
    return list(ScheduleEdit.objects.filter(schedule_id=row.pk).order_by("id").values_list("kind", flat=True))


def sql(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


@contextmanager
def each_statement(do: Callable[[int, str, Any], None]) -> Iterator[list[str]]:
    """`do(number, sql, params)` comes after each statement of this connection; the statements so far."""
    seen: list[str] = []

    def wrapper(execute: Callable[..., Any], statement: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(statement, params, many, context)
        seen.append(statement)
        do(len(seen), statement, params)
        return result

    with connection.execute_wrapper(wrapper):
        yield seen
