"""Edits are seen whoever makes them, and count from their own moment on."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.models import Job, ScheduleEdit, SchedulePolicy, ScheduleStanding
from jobs.schedules import pressing, triggers
from jobs.ticking.rereading import Rereading
from jobs.ticking.taking import MOST_EDITS
from jobs.ticking.ticker import Ticker
from tests.support.moves import USING
from tests.support.ticking import (
    TASK,
    ago,
    clocked,
    cron,
    edits,
    enqueued,
    fresh,
    keep,
    missed,
    outcomes,
    put_back,
    scheduled,
    settle,
    sql,
    stands,
    ticks,
)

pytestmark = pytest.mark.django_db(transaction=True)
ROW = "django_celery_beat_periodictask"


# --- The triggers ---


def test_every_way_to_write_a_schedule_is_told_and_read_once() -> None:
    row = scheduled()
    row.description = "Only a word for people."
    row.save()
    assert edits(row) == []
    row.queue = "heavy"
    row.save()
    PeriodicTask.objects.filter(pk=row.pk).update(priority=3)
    sql(f"UPDATE {ROW} SET queue = 'emails' WHERE id = %s", row.pk)
    assert edits(row) == ["edited"] * 3
    settle(row)
    assert edits(row) == []


def test_a_schedule_that_is_made_or_switched_on_is_enabled() -> None:
    row = PeriodicTask.objects.create(name="new", task=TASK, crontab=cron(), enabled=False)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=True)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=True)
    assert edits(row) == ["edited", "enabled"]
    assert edits(PeriodicTask.objects.create(name="newer", task=TASK, crontab=cron())) == ["enabled"]


@pytest.mark.parametrize(
    ("model", "columns", "changed"),
    [
        ("interval", {"every": 7, "period": "minutes"}, {"every": 8}),
        ("crontab", {"hour": "3"}, {"hour": "4"}),
        ("clocked", {"clocked_time": "2040-01-01T00:00:00Z"}, {"clocked_time": "2041-01-01T00:00:00Z"}),
        ("solar", {"event": "sunrise", "latitude": 10, "longitude": 20}, {"latitude": 11}),
    ],
)
def test_an_edit_of_a_timing_is_one_of_each_schedule_that_has_it(
    model: str, columns: dict[str, Any], changed: dict[str, Any]
) -> None:
    kind: Any = PeriodicTask._meta.get_field(model).related_model
    timing = kind.objects.create(**columns)
    shared = {model: timing, "one_off": model == "clocked"}
    rows = [scheduled(name, **shared) for name in ("one", "two")]
    before = [stands(row).next_tick for row in rows]
    kind.objects.filter(pk=timing.pk).update(**changed)
    assert [edits(row) for row in rows] == [["edited"], ["edited"]]
    settle(*rows)
    assert [stands(row).next_tick for row in rows] != before


def test_an_edit_of_the_policy_is_one_of_the_schedule() -> None:
    row = scheduled()
    SchedulePolicy.objects.create(schedule=row)
    SchedulePolicy.objects.filter(schedule=row).update(missed="skip")
    SchedulePolicy.objects.filter(schedule=row).delete()
    assert edits(row) == ["edited"] * 3


def test_what_beat_writes_itself_is_no_edit() -> None:
    row = scheduled()
    missed(row, 1)
    settle(row)
    assert fresh(row).total_run_count == 1
    assert edits(row) == []


def test_triggers_that_are_missing_or_old_are_made_again() -> None:
    assert triggers.install(USING) == []
    on = f" ON {ROW}" if connection.vendor == "postgresql" else ""
    sql(f"DROP TRIGGER jobs_schedule_edited{on}")
    assert triggers.missing(USING) == ["jobs_schedule_edited"]
    assert triggers.install(USING) == ["jobs_schedule_edited"]
    row = scheduled()
    PeriodicTask.objects.filter(pk=row.pk).update(args="[1]")
    assert edits(row) == ["edited"]


# --- What they change ---


def test_an_edit_of_the_arguments_leaves_a_due_tick_due_once_with_the_new_ones() -> None:
    row = scheduled()
    missed(row, 1)
    PeriodicTask.objects.filter(pk=row.pk).update(queue="emails")
    settle(row)
    assert [job.queue for job in enqueued(row)] == ["emails"]


def test_another_timing_starts_at_the_moment_of_the_edit() -> None:
    row = scheduled(every=3600)
    put_back(row, 1000)
    PeriodicTask.objects.filter(pk=row.pk).update(interval=IntervalSchedule.objects.create(every=60, period="seconds"))
    at = ScheduleEdit.objects.get(schedule_id=row.pk).at
    settle(row)
    assert outcomes(row) == []
    assert stands(row).position == at
    assert stands(row).next_tick == at + timedelta(seconds=60)


def test_an_earlier_hour_of_today_is_no_missed_tick() -> None:
    row = scheduled(crontab=cron(minute="0", hour=str((ago(0) + timedelta(hours=2)).hour)))
    CrontabSchedule.objects.update(hour=str((ago(0) - timedelta(hours=1)).hour))
    settle(row)
    assert outcomes(row) == []
    assert stands(row).next_tick > ago(0)


def test_ticks_of_the_time_that_it_was_off_are_not_missed() -> None:
    row = scheduled()
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
    settle(row)
    assert (stands(row).next_tick, stands(row).wake_at, stands(row).armed_at) == (None, None, None)
    put_back(row, 1000)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=True)
    settle(row)
    assert outcomes(row) == []
    assert stands(row).armed_at is not None


def test_off_and_on_between_two_looks_is_a_new_start_too() -> None:
    row = scheduled()
    put_back(row, 1000)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=True)
    settle(row)
    assert outcomes(row) == []


def test_a_pause_keeps_the_grid_of_an_interval_and_its_last_run() -> None:
    row = scheduled(every=3600)
    missed(row, 1, every=3600)
    settle(row)
    ran, next_tick = fresh(row).last_run_at, stands(row).next_tick
    pressing.pause([row.pk], "ann", "Too loud.")
    settle(row)
    pressing.resume([row.pk], "ann")
    settle(row)
    assert (fresh(row).last_run_at, stands(row).next_tick) == (ran, next_tick)


def test_a_pause_ends_at_its_time_and_ticks_count_from_then() -> None:
    row = scheduled(every=10)
    keep(row, missed="all")
    pressing.pause([row.pk], "ann", "Too loud.", resume_at=ago(-0.5))
    settle(row)
    assert stands(row).wake_at == fresh(row).policy.resume_at
    put_back(row, 1000)
    SchedulePolicy.objects.filter(pk=row.pk).update(resume_at=ago(25))
    settle(row)
    assert fresh(row).enabled
    assert fresh(row).policy.resume_at is None
    assert len(ticks(row)) in (2, 3)
    assert {tick.outcome for tick in ticks(row)} == {"run"}
    settle(row)
    assert len(enqueued(row)) == len(ticks(row))


def test_an_interval_counts_from_the_end_of_its_pause_not_from_when_beat_wrote_that_down() -> None:
    row = scheduled(every=1000)
    pressing.pause([row.pk], "ann", "Too loud.", resume_at=ago(-0.2))
    settle(row)
    until = fresh(row).policy.resume_at
    time.sleep(0.25)
    settle(row)
    settle(row)
    assert (stands(row).armed_at, stands(row).anchor) == (until, until)
    assert stands(row).next_tick == until + timedelta(seconds=1000)


def test_the_note_of_a_pause_goes_when_somebody_switches_the_schedule_on_without_resuming_it() -> None:
    row = scheduled()
    pressing.pause([row.pk], "ann", "Too loud.", resume_at=ago(-1000))
    settle(row)
    assert fresh(row).policy.pause_reason == "Too loud."
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=True)
    settle(row)
    policy = fresh(row).policy
    assert (policy.paused_at, policy.paused_by, policy.pause_reason, policy.resume_at) == (None, "", "", None)


def test_a_renamed_schedule_keeps_its_live_jobs() -> None:
    row, other = scheduled("old"), scheduled("other")
    for one in (row, other):
        missed(one, 1)
    settle(row, other)
    PeriodicTask.objects.filter(pk=row.pk).update(name="new")
    PeriodicTask.objects.filter(pk=other.pk).update(name="old")
    settle(row, other)
    assert set(Job.objects.values_list("schedule", flat=True)) == {"new", "old"}
    assert (stands(row).name, stands(other).name) == ("new", "old")


@pytest.mark.parametrize("by_sql", [False, True])
def test_nothing_of_a_deleted_schedule_is_left_but_its_past(by_sql: bool) -> None:
    row = scheduled()
    keep(row, missed="all")
    missed(row, 1)
    settle(row)
    pk = row.pk
    if by_sql:
        sql(f"DELETE FROM {ROW} WHERE id = %s", pk)
    else:
        row.delete()
    assert ScheduleEdit.objects.order_by("id").values_list("kind", flat=True).last() == "deleted"
    row.pk = pk
    settle(row)
    assert not ScheduleStanding.objects.filter(pk=pk).exists()
    assert not SchedulePolicy.objects.filter(pk=pk).exists()
    assert edits(row) == []
    assert len(enqueued(row)) == 1


def test_a_schedule_from_before_us_goes_on_from_its_last_run() -> None:
    every = IntervalSchedule.objects.create(every=60, period="seconds")
    row = PeriodicTask.objects.create(name="old", task=TASK, interval=every)
    ran = ago(130)
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=ran)
    ScheduleEdit.objects.all().delete()
    settle(row)
    assert outcomes(row) == [("skipped", "replaced", 1), ("run", "", 1)]
    assert ticks(row)[-1].at == ran + timedelta(seconds=120)


def test_a_single_time_that_had_passed_when_it_was_set_counts_as_missed() -> None:
    row = scheduled(clocked=clocked(ago(100)), one_off=True)
    assert outcomes(row) == [("run", "", 1)]
    skipping = PeriodicTask.objects.create(name="skips", task=TASK, clocked=clocked(ago(100)), one_off=True)
    SchedulePolicy.objects.create(schedule=skipping, missed="skip")
    settle(skipping)
    assert outcomes(skipping) == [("skipped", "missed", 1)]


# --- What no trigger told ---


def test_a_round_finds_what_no_trigger_told() -> None:
    sound, renamed, disabled, moved, gone = (scheduled(name) for name in "abcde")
    new = PeriodicTask.objects.create(name="f", task=TASK, crontab=cron())
    PeriodicTask.objects.filter(pk=renamed.pk).update(name="z")
    PeriodicTask.objects.filter(pk=disabled.pk).update(enabled=False)
    PeriodicTask.objects.filter(pk=moved.pk).update(start_time=ago(-100))
    sql(f"DELETE FROM {ROW} WHERE id = %s", gone.pk)
    PeriodicTask.objects.exclude(pk__in=[row.pk for row in (sound, renamed, disabled, moved, new)]).delete()
    ScheduleEdit.objects.all().delete()
    assert sorted(_found()) == sorted(row.pk for row in (renamed, disabled, moved, gone, new))
    settle(renamed, disabled, moved, gone, new)
    assert _found() == []
    assert stands(sound).name == "a"


def _found() -> list[int]:
    rereading, found = Rereading(USING), []
    while rereading.is_due:
        found += rereading.step()
    return found


def test_a_clock_of_the_database_that_was_put_back_keeps_no_schedule_from_its_ticks() -> None:
    row, off = scheduled(every=10), scheduled("off", every=10)
    missed(row, 1)
    settle(row)
    settled = ScheduleStanding.objects.filter(pk__in=[row.pk, off.pk])
    future = ago(-86_400)
    settled.update(position=future, anchor=future, armed_at=future, next_tick=future, wake_at=future)
    assert {row.pk, off.pk} <= set(_found())
    settle(row, off)
    assert not {row.pk, off.pk} & set(_found())
    for one in (row, off):
        assert timedelta() < stands(one).next_tick - ago(0) <= timedelta(seconds=10)
    assert len(enqueued(row)) == 1


def test_a_last_run_that_a_wrong_clock_wrote_down_is_not_waited_for() -> None:
    row = PeriodicTask.objects.create(name="old", task=TASK, interval=_every_minute())
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=ago(-86_400))
    ScheduleEdit.objects.all().delete()
    settle(row)
    assert stands(row).next_tick - ago(0) <= timedelta(seconds=60)


def _every_minute() -> IntervalSchedule:
    return IntervalSchedule.objects.create(every=60, period="seconds")


def test_any_number_of_unread_edits_is_read_in_parts() -> None:
    row = scheduled(every=3600)
    PeriodicTask.objects.filter(pk=row.pk).update(queue="emails")
    [edit] = ScheduleEdit.objects.filter(schedule_id=row.pk)
    same = [ScheduleEdit(schedule_id=row.pk, kind=edit.kind, at=edit.at) for _ in range(3 * MOST_EDITS)]
    ScheduleEdit.objects.bulk_create(same, batch_size=1000)
    settle(row)
    assert len(edits(row)) == 2 * MOST_EDITS + 1
    ticker = Ticker(USING)
    while ticker.tick() == 0:
        pass
    assert (edits(row), stands(row).broken) == ([], "")
