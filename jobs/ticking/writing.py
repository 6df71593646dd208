"""The statements of a batch: one for its ticks, one for where its schedules stand, one for their rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections
from django_celery_beat.models import PeriodicTask

from jobs.lifecycle.given import given, types_of
from jobs.lifecycle.moment import adapted
from jobs.models import ScheduleEdit, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.policies import Outcome, Why
from jobs.schedules.pressing import NO_NOTE
from jobs.ticking.turns import Turn

TICK = ("schedule_id", "at", "first_at", "count", "decided_at", "outcome", "why", "job_id")
STANDING = [field.attname for field in ScheduleStanding._meta.concrete_fields]
CHANGING = [name for name in STANDING if name != "schedule_id"]
#: What a tick moves on.
MOVING = ("position", "next_tick", "wake_at")
COUNT = ("id", "last_run_at", "total_run_count")
#: Values in one INSERT: SQLite takes no more than 250,000, and a schedule that catches up may have thousands of ticks.
ROWS = 500


def insert_ticks(ticks: Sequence[ScheduleTick], using: str) -> set[tuple[int, str]]:
    """Write them down; which were new, by schedule and job: each tick is settled once, whoever comes to it."""
    new: set[tuple[int, str]] = set()
    connection = connections[using]
    for start in range(0, len(ticks), ROWS):
        rows = [[_param(connection, getattr(tick, name)) for name in TICK] for tick in ticks[start : start + ROWS]]
        table, params = given(types_of(ScheduleTick, TICK, using), rows, using)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO jobs_scheduletick ({', '.join(TICK)}) SELECT * FROM {table} WHERE true "
                "ON CONFLICT (schedule_id, at) DO NOTHING RETURNING schedule_id, job_id",
                params,
            )
            new.update(cursor.fetchall())
    return new


def name_twins(posted: Mapping[str, str], using: str) -> None:
    """Ticks whose job was refused for a live one with the same unique key: that one kept them from it."""
    for job_id, twin in posted.items():
        if twin != job_id:
            ran = ScheduleTick.objects.using(using).filter(job_id=job_id)
            ran.update(outcome=Outcome.SKIPPED, why=Why.OVERLAP, job_id=twin)


def move_standings(turns: Sequence[Turn], using: str) -> None:
    """Write those that are new or have changed; most have only moved on."""
    before = {turn.row.pk: _values(turn.kept) if turn.kept else None for turn in turns}
    changed = [turn.standing for turn in turns if before[turn.row.pk] != _values(turn.standing)]
    moved_on = {s.schedule_id: s for s in changed if _has_moved_on(before[s.schedule_id], s)}
    if moved_on:
        _move_on(list(moved_on.values()), using)
    if others := [standing for standing in changed if standing.schedule_id not in moved_on]:
        ScheduleStanding.objects.using(using).bulk_create(
            others, update_conflicts=True, unique_fields=["schedule"], update_fields=CHANGING
        )


def _move_on(standings: Sequence[ScheduleStanding], using: str) -> None:
    connection, columns = connections[using], ("schedule_id", *MOVING)
    rows = [[_param(connection, getattr(standing, name)) for name in columns] for standing in standings]
    table, params = given(types_of(ScheduleStanding, columns, using), rows, using)
    sets = ", ".join(f"{name} = given.{name}" for name in MOVING)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE jobs_schedulestanding SET {sets} FROM {table} "
            "WHERE jobs_schedulestanding.schedule_id = given.schedule_id",
            params,
        )


def count_runs(turns: Sequence[Turn], using: str) -> None:
    """What stock django-celery-beat keeps in the rows: when they ran last, and how often."""
    ran = [turn for turn in turns if turn.ran]
    if not ran:
        return
    connection = connections[using]
    rows = [[turn.row.pk, _param(connection, turn.now), turn.ran] for turn in ran]
    table, params = given(types_of(PeriodicTask, COUNT, using), rows, using)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_celery_beat_periodictask AS task SET last_run_at = given.last_run_at, total_run_count = "
            f"task.total_run_count + given.total_run_count FROM {table} WHERE task.id = given.id",
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


def clear_notes(turns: Sequence[Turn], using: str) -> None:
    """Who paused it, and why, is no longer true of a schedule that somebody switched on without resuming it."""
    stale = [turn.row.pk for turn in turns if turn.row.enabled and (turn.policy.paused_at or turn.policy.resume_at)]
    if stale:
        SchedulePolicy.objects.using(using).filter(pk__in=stale).update(**NO_NOTE)


def forget(gone: Sequence[int], using: str) -> None:
    """What is left of deleted schedules, but for their ticks, which are history."""
    if gone:
        for model in (ScheduleStanding, SchedulePolicy, ScheduleEdit):
            model.objects.using(using).filter(schedule_id__in=gone).delete()


def cross_off(turns: Sequence[Turn], using: str) -> None:
    """These edits are read."""
    if read := [edit.pk for turn in turns for edit in turn.edits]:
        ScheduleEdit.objects.using(using).filter(pk__in=read).delete()


def _values(standing: ScheduleStanding) -> dict[str, Any]:
    return {name: getattr(standing, name) for name in STANDING}


def _has_moved_on(before: dict[str, Any] | None, standing: ScheduleStanding) -> bool:
    """Whether nothing else has changed."""
    return before is not None and {**before, **dict.fromkeys(MOVING)} == {**_values(standing), **dict.fromkeys(MOVING)}


def _param(connection: Any, value: Any) -> Any:
    return adapted(connection, value) if hasattr(value, "tzinfo") else value
