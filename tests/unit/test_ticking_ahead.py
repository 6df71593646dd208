"""Ticks that are prepared before their moment: nothing that happens until then is passed over."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app, signals
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.lifecycle.moment import now
from jobs.models import Job, ScheduleEdit, SchedulePolicy, ScheduleStanding
from jobs.schedules import pressing
from jobs.ticking import firing
from jobs.ticking.ahead import FEW, Ahead
from tests.support.moves import USING
from tests.support.ticking import TASK, ago, cron, enqueued, fresh, headers, outcomes, settle, sql, stands, ticks

pytestmark = pytest.mark.django_db(transaction=True)
ROW = "django_celery_beat_periodictask"


@pytest.fixture(autouse=True)
def nothing_else() -> None:
    PeriodicTask.objects.all().delete()
    ScheduleEdit.objects.all().delete()


def made(**columns: Any) -> list[PeriodicTask]:
    """More than a few schedules that tick for the first time in a moment, all at once."""
    every = IntervalSchedule.objects.create(every=1000, period="seconds")
    given = {"task": TASK, "interval": every, "start_time": ago(-0.5), **columns}
    names = [f"row {number}" for number in range(FEW + 2)]
    PeriodicTask.objects.bulk_create([PeriodicTask(name=name, **given) for name in names])
    rows = list(PeriodicTask.objects.filter(name__in=names).order_by("pk"))
    settle(*rows)
    return rows


def prepared(rows: list[PeriodicTask]) -> Ahead:
    ahead = Ahead(USING)
    wakes = {row.pk: at for row in rows if (at := stands(row).next_tick)}
    while ahead.step(wakes):
        pass
    return ahead


def at_their_moment(rows: list[PeriodicTask], ahead: Ahead) -> None:
    """What beat does then."""
    time.sleep(max(0.0, (rows[0].start_time - now(USING)).total_seconds()) + 0.01)
    firing.settle([row.pk for row in rows], USING, ahead.prepared)


def built(ahead: Ahead, row: PeriodicTask) -> str | None:
    return ahead.prepared[row.pk].job.id if row.pk in ahead.prepared else None


def test_what_nothing_happened_to_runs_as_it_was_prepared() -> None:
    rows = made()
    ahead = prepared(rows)
    at_their_moment(rows, ahead)
    assert [job.id for row in rows for job in enqueued(row)] == [built(ahead, row) for row in rows]
    assert all(outcomes(row) == [("run", "", 1)] for row in rows)
    assert all(fresh(row).total_run_count == 1 for row in rows)
    assert all(stands(row).next_tick == row.start_time + timedelta(seconds=1000) for row in rows)


def _another_task(row: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=row.pk).update(task="tests.plain_tasks.echo")


def _other_arguments(row: PeriodicTask) -> None:
    sql(f"UPDATE {ROW} SET queue = 'emails' WHERE id = %s", row.pk)


def _another_name(row: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=row.pk).update(name="renamed")


def _a_policy(row: PeriodicTask) -> None:
    SchedulePolicy.objects.create(schedule=row, jitter=300)


def _counted_by_another_beat(row: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=row.pk).update(total_run_count=7)


@pytest.mark.parametrize(
    "change", [_another_task, _other_arguments, _another_name, _a_policy, _counted_by_another_beat]
)
def test_what_has_changed_meanwhile_runs_as_it_is_now(change: Callable[[PeriodicTask], None]) -> None:
    rows = made()
    ahead = prepared(rows)
    change(rows[0])
    ScheduleEdit.objects.all().delete()  # the row itself tells, though no trigger did
    at_their_moment(rows, ahead)
    row = fresh(rows[0])
    [job] = enqueued(row)
    assert job.id != built(ahead, row)
    assert (job.task, job.queue, headers(job)["periodic_task_name"]) == (row.task, row.queue or "default", row.name)
    assert (job.run_at is not None) is SchedulePolicy.objects.filter(pk=row.pk).exists()
    assert [enqueued(other)[0].id for other in rows[1:]] == [built(ahead, other) for other in rows[1:]]


def _off(row: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)


def _paused(row: PeriodicTask) -> None:
    pressing.pause([row.pk], "ann", "Too loud.")


def _later(row: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=row.pk).update(start_time=ago(-1000))


def _another_timing(row: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=row.pk).update(interval=None, crontab=cron(minute="0", hour="0", day_of_month="1"))


def _settled_by_another_beat(row: PeriodicTask) -> None:
    ScheduleStanding.objects.filter(pk=row.pk).update(position=row.start_time, next_tick=ago(-1000))


def _gone(row: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=row.pk).delete()


@pytest.mark.parametrize("change", [_off, _paused, _later, _another_timing, _settled_by_another_beat, _gone])
def test_what_shall_not_tick_any_more_does_not(change: Callable[[PeriodicTask], None]) -> None:
    rows = made()
    ahead = prepared(rows)
    assert built(ahead, rows[0])
    change(rows[0])
    at_their_moment(rows, ahead)
    assert Job.objects.filter(schedule=rows[0].name).count() == 0
    assert all(len(enqueued(row)) == 1 for row in rows[1:])


def test_off_and_on_again_just_before_the_tick_is_a_new_start_as_without_preparation() -> None:
    row, *others = rows = made()
    ahead = prepared(rows)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=True)
    at = ScheduleEdit.objects.latest("id").at
    at_their_moment(rows, ahead)
    assert (len(enqueued(row)), enqueued(row)[0].id == built(ahead, row)) == (1, False)
    assert (stands(row).armed_at, stands(row).anchor) == (at, at)
    assert not ScheduleEdit.objects.filter(schedule_id=row.pk).exists()
    assert all(len(enqueued(other)) == 1 for other in others)


def test_off_and_on_again_at_the_very_tick_skips_it_as_without_preparation() -> None:
    rows = made()
    ahead = prepared(rows)
    time.sleep(max(0.0, (rows[0].start_time - now(USING)).total_seconds()) + 0.01)
    PeriodicTask.objects.filter(pk=rows[0].pk).update(enabled=False)
    PeriodicTask.objects.filter(pk=rows[0].pk).update(enabled=True)
    at_their_moment(rows, ahead)
    assert [len(enqueued(row)) for row in rows] == [0, *[1] * (len(rows) - 1)]
    assert ticks(rows[0]) == []


def test_nothing_is_prepared_of_what_has_an_unread_edit_or_stands_otherwise() -> None:
    edited, untold, *others = rows = made()
    for row in (edited, untold):
        PeriodicTask.objects.filter(pk=row.pk).update(start_time=ago(-0.4))
    ScheduleEdit.objects.filter(schedule_id=untold.pk).delete()
    assert sorted(prepared(rows).prepared) == [row.pk for row in others]


def test_a_tick_that_beat_comes_to_late_is_planned_anew() -> None:
    rows = made()
    ahead = prepared(rows)
    ScheduleStanding.objects.update(wake_at=ago(0))
    time.sleep(1.6)
    at_their_moment(rows, ahead)
    assert all(len(enqueued(row)) == 1 and enqueued(row)[0].id != built(ahead, row) for row in rows)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps no such value")
def test_a_row_that_nobody_can_read_is_left_for_its_tick() -> None:
    rows = made()
    sql(f"UPDATE {ROW} SET expires = '2026-99-99 00:00:00' WHERE id = %s", rows[0].pk)
    ScheduleEdit.objects.all().delete()
    ahead = prepared(rows)
    at_their_moment(rows, ahead)
    assert [len(enqueued(row)) for row in rows[1:]] == [1] * (len(rows) - 1)
    assert "can't be read" in stands(rows[0]).broken


def test_nothing_is_prepared_where_celery_tells_of_each_message() -> None:
    assert not signals.before_task_publish.receivers
    rows = made()
    current_app.conf.task_send_sent_event = True
    try:
        assert prepared(rows).prepared == {}
    finally:
        current_app.conf.task_send_sent_event = False
