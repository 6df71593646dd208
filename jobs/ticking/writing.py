"""The statements of a batch: one for its ticks, one for where its schedules stand, one for their rows."""

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django_celery_beat.models import PeriodicTask

from jobs.lifecycle.moment import adapted
from jobs.models import ScheduleEdit, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.ticking.taking import Turn

TICK = ("schedule_id", "at", "first_at", "count", "decided_at", "outcome", "why", "job_id")
STANDING = [field.attname for field in ScheduleStanding._meta.concrete_fields]
MOVED = [name for name in STANDING if name != "schedule_id"]
#: Values in one INSERT: SQLite takes no more than 250,000, and a schedule that catches up may have thousands of ticks.
ROWS = 500


def insert_ticks(ticks: Sequence[ScheduleTick], using: str) -> set[tuple[int, str]]:
    """Write them down; which were new, by schedule and job: each tick is settled once, whoever comes to it."""
    new: set[tuple[int, str]] = set()
    connection = connections[using]
    for start in range(0, len(ticks), ROWS):
        some = ticks[start : start + ROWS]
        params = [_param(connection, getattr(tick, name)) for tick in some for name in TICK]
        marks = ", ".join([f"({', '.join(['%s'] * len(TICK))})"] * len(some))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO jobs_scheduletick ({', '.join(TICK)}) VALUES {marks} "
                "ON CONFLICT (schedule_id, at) DO NOTHING RETURNING schedule_id, job_id",
                params,
            )
            new.update(cursor.fetchall())
    return new


def move_standings(turns: Sequence[Turn], using: str) -> None:
    """Write those that have changed, or are new."""
    moved = [turn.standing for turn in turns if turn.kept is None or _values(turn.kept) != _values(turn.standing)]
    if moved:
        ScheduleStanding.objects.using(using).bulk_create(
            moved, update_conflicts=True, unique_fields=["schedule"], update_fields=MOVED
        )


def count_runs(turns: Sequence[Turn], using: str) -> None:
    """What stock django-celery-beat keeps in the rows: when they ran last, and how often."""
    ran = [turn for turn in turns if turn.ran]
    if not ran:
        return
    connection = connections[using]
    params = [value for turn in ran for value in (turn.row.pk, _param(connection, turn.now), turn.ran)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_celery_beat_periodictask SET last_run_at = ran.column2, "
            "total_run_count = total_run_count + ran.column3 "
            f"FROM (VALUES {', '.join(['(%s, %s, %s)'] * len(ran))}) AS ran "
            "WHERE django_celery_beat_periodictask.id = ran.column1",
            params,
        )


def switch_off(turns: Sequence[Turn], using: str) -> None:
    """Those that had their only run, whose count begins anew, and those that have expired."""
    rows = PeriodicTask.objects.using(using)
    over = [turn.row for turn in turns if turn.over]
    if once := [row.pk for row in over if row.one_off]:
        rows.filter(pk__in=once).update(enabled=False, total_run_count=0)
    if ended := [row.pk for row in over if not row.one_off]:
        rows.filter(pk__in=ended).update(enabled=False)


def forget(gone: Sequence[int], using: str) -> None:
    """What is left of deleted schedules, but for their ticks, which are history."""
    if gone:
        for model in (ScheduleStanding, SchedulePolicy, ScheduleEdit):
            model.objects.using(using).filter(schedule_id__in=gone).delete()


def cross_off(turns: Sequence[Turn], using: str) -> None:
    """These edits are read."""
    if read := [edit.pk for turn in turns for edit in turn.edits]:
        ScheduleEdit.objects.using(using).filter(pk__in=read).delete()


def _values(standing: ScheduleStanding) -> list[Any]:
    return [getattr(standing, name) for name in STANDING]


def _param(connection: Any, value: Any) -> Any:
    return adapted(connection, value) if hasattr(value, "tzinfo") else value
