"""A row that nobody can run never stops another: it is marked with the reason, and ticks again when it is mended."""

from datetime import timedelta
from typing import Any

import pytest
from celery import signals
from django.db import connection
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from jobs.conf import conf
from jobs.models import ScheduleEdit, ScheduleStanding, Worker
from jobs.registry import registered_tasks
from jobs.ticking.ticker import Ticker
from tests.support.moves import USING
from tests.support.schedules import kept_past_every_guard
from tests.support.ticking import ago, edits, enqueued, missed, outcomes, put_back, scheduled, settle, sql, stands

pytestmark = pytest.mark.django_db(transaction=True)


def every(number: int, period: str = "seconds") -> dict[str, Any]:
    return {"interval": IntervalSchedule(every=number, period=period)}


def at(**fields: str) -> dict[str, Any]:
    return {"crontab": CrontabSchedule(**{"minute": "*", "timezone": "UTC", **fields})}


#: What a row may hold, and a word of the reason.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "headers that are a list": ({**every(1), "headers": "[]"}, "headers"),
    "headers that are no JSON": ({**every(1), "headers": "{nonsense"}, "headers"),
    "no timing": ({}, "timing"),
    "two timings": ({**every(1), **at()}, "timing"),
    "an unknown period": (every(1, "fortnights"), "fortnights"),
    "an endless interval": (every(2_000_000_000, "days"), "interval"),
    "an interval of nothing": (every(0), "interval"),
    "a minute that is a word": (at(minute="noon"), "Minute"),
    "an hour that no day has": (at(hour="99"), "Hour"),
    "an interval beyond the calendar": (every(999_999_999, "days"), "never comes"),
    "a sun that never sets": (
        {"solar": SolarSchedule(event="sunset", latitude=90, longitude=0)},
        "never comes",
    ),
    "a day that never comes": (at(day_of_month="31", month_of_year="2"), "crontab"),
    "arguments that are no JSON": ({**every(1), "args": "(1, 2)"}, "args"),
    "arguments that are no list": ({**every(1), "args": '{"a": 1}'}, "args"),
    "keywords that are no object": ({**every(1), "kwargs": "[1]"}, "kwargs"),
    "arguments that the task refuses": ({**every(1), "args": "[1, 2, 3]"}, "args"),
    "a queue that nobody declared": ({**every(1), "queue": "nowhere"}, "nowhere"),
    "a task that nobody knows": ({**every(1), "task": "gone"}, "gone"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_is_marked_with_the_reason_and_the_good_one_beside_it_ticks(kind: str) -> None:
    columns, word = BAD[kind]
    good = scheduled("good")
    bad = kept_past_every_guard(PeriodicTask(**{"name": "bad", "task": "tests.plain_tasks.whoami", **columns}))
    missed(good, 1)
    settle(bad, good)
    assert outcomes(good) == [("run", "", 1)]
    standing = stands(bad)
    assert word in standing.broken
    assert standing.broken_at is not None
    assert (standing.next_tick, enqueued(bad), edits(bad)) == (None, [], [])
    assert standing.wake_at is not None
    assert 0 < (standing.wake_at - ago(0)).total_seconds() <= conf().broken_again


def test_a_zone_that_nobody_knows_breaks_its_schedules_only() -> None:
    good, bad = scheduled("good"), scheduled("bad", crontab=CrontabSchedule.objects.create(timezone="UTC"))
    sql("UPDATE django_celery_beat_crontabschedule SET timezone = 'Mars/Olympus' WHERE id = %s", bad.crontab.pk)
    missed(good, 1)
    settle(bad, good)
    assert outcomes(good) == [("run", "", 1)]
    assert "Mars/Olympus" in stands(bad).broken


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps no such value")
@pytest.mark.parametrize("column", ["start_time", "expires", "last_run_at"])
def test_a_row_that_can_not_even_be_read_is_marked_so(column: str) -> None:
    good, bad = scheduled("good"), scheduled("bad")
    sql(f"UPDATE django_celery_beat_periodictask SET {column} = '2026-99-99 00:00:00' WHERE id = %s", bad.pk)
    missed(good, 1)
    settle(bad, good)
    assert outcomes(good) == [("run", "", 1)]
    assert "can't be read" in stands(bad).broken
    assert edits(bad) == []
    sql(f"UPDATE django_celery_beat_periodictask SET {column} = NULL WHERE id = %s", bad.pk)
    settle(bad)
    assert stands(bad).broken == ""


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps no such value")
def test_a_place_that_is_no_number_stops_no_round_of_rereading() -> None:
    sun = SolarSchedule.objects.create(event="sunrise", latitude=48, longitude=2)
    bad, renamed = scheduled("bad", solar=sun), scheduled("good")
    sql("UPDATE django_celery_beat_solarschedule SET latitude = 'north' WHERE id = %s", sun.pk)
    PeriodicTask.objects.filter(pk=renamed.pk).update(name="renamed")
    ScheduleEdit.objects.all().delete()
    ticker = Ticker(USING)
    while ticker.tick() == 0:
        pass
    assert "can't be read" in stands(bad).broken
    assert stands(renamed).name == "renamed"


@pytest.mark.parametrize("number", [1, 12])
def test_a_text_that_no_driver_can_write_stops_no_other(number: int) -> None:
    bad, *good = rows = [scheduled(f"row {nth}") for nth in range(number + 1)]
    PeriodicTask.objects.filter(pk=bad.pk).update(headers=r'{"group": "half of a pair: \ud83d"}')
    for row in rows:
        missed(row, 1)
    settle(*rows)
    assert [outcomes(row) for row in good] == [[("run", "", 1)]] * number
    assert (enqueued(bad), outcomes(bad)) == ([], [])
    assert "surrogates not allowed" in stands(bad).broken
    PeriodicTask.objects.filter(pk=bad.pk).update(headers="{}")
    settle(*rows)
    assert [len(enqueued(row)) for row in rows] == [1] * (number + 1)


@pytest.mark.parametrize("wrong", ["raises", "is refused by the database", "takes what no column does"])
def test_a_task_whose_own_way_to_be_posted_fails_stops_no_other(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if wrong == "raises":
            raise RuntimeError("no")
        if wrong == "is refused by the database":
            sql("SELECT 1 / 0" if connection.vendor == "postgresql" else "INSERT INTO jobs_job (id) VALUES (NULL)")
        return super(type(task), self).apply_async(args, kwargs, **{**options, "unique_key": "x" * 300 + "\ud800"})

    task: Any = registered_tasks()["tests.plain_tasks.echo"]
    monkeypatch.setattr(type(task), "apply_async", fails, raising=False)
    bad, *good = rows = [scheduled("bad", task=task.name), *(scheduled(f"good {nth}") for nth in range(10))]
    for row in rows:
        missed(row, 1)
    settle(*rows)
    assert [outcomes(row) for row in good] == [[("run", "", 1)]] * 10
    assert (enqueued(bad), outcomes(bad)) == ([], [])
    assert stands(bad).broken


def test_a_receiver_that_refuses_a_message_stops_no_other() -> None:
    def refuse(headers: Any, **_: Any) -> None:
        if headers["periodic_task_name"] == "bad":
            headers["eta"] = "half past"

    bad, good = scheduled("bad"), scheduled("good")
    for row in (bad, good):
        missed(row, 1)
    signals.before_task_publish.connect(refuse)
    try:
        settle(bad, good)
    finally:
        signals.before_task_publish.disconnect(refuse)
    assert (outcomes(good), outcomes(bad), enqueued(bad)) == ([("run", "", 1)], [], [])
    assert "half past" in stands(bad).broken


def test_the_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    bad = kept_past_every_guard(
        PeriodicTask(name="bad", task="gone", interval=IntervalSchedule(every=1, period="days"))
    )
    settle(bad)
    settle(bad)
    assert len([said for said in caplog.messages if "Schedule bad is broken" in said]) == 1


def test_ticks_since_it_broke_count_as_missed_when_it_is_mended() -> None:
    row = scheduled()
    missed(row, 3)
    PeriodicTask.objects.filter(pk=row.pk).update(args="nonsense")
    settle(row)
    position = stands(row).position
    settle(row)
    assert (outcomes(row), stands(row).position) == ([], position)
    PeriodicTask.objects.filter(pk=row.pk).update(args="[]")
    settle(row)
    assert outcomes(row) == [("skipped", "replaced", 2), ("run", "", 1)]
    assert (stands(row).broken, stands(row).broken_at) == ("", None)


def test_it_is_looked_at_again_though_nobody_edits_it() -> None:
    row = scheduled()
    PeriodicTask.objects.filter(pk=row.pk).update(task="of.another.version")
    settle(row)
    assert stands(row).broken
    _worker_that_knows("of.another.version")
    missed(row, 1)
    Ticker(USING).tick()
    assert outcomes(row) == [("run", "", 1)]
    assert [job.task for job in enqueued(row)] == ["of.another.version"]


def test_a_task_that_only_a_live_worker_knows_runs() -> None:
    _worker_that_knows("of.another.version")
    row = scheduled(task="of.another.version")
    missed(row, 1)
    settle(row)
    assert outcomes(row) == [("run", "", 1)]


def test_a_task_that_is_gone_breaks_its_schedule_at_the_tick() -> None:
    _worker_that_knows("of.another.version")
    row = scheduled(task="of.another.version")
    Worker.objects.all().delete()
    missed(row, 1)
    settle(row)
    assert (outcomes(row), "of.another.version" in stands(row).broken) == ([], True)


def test_a_disabled_row_is_not_broken_whatever_it_holds() -> None:
    row = scheduled()
    PeriodicTask.objects.filter(pk=row.pk).update(args="nonsense", enabled=False)
    settle(row)
    assert (stands(row).broken, stands(row).wake_at) == ("", None)


def test_a_priority_above_the_highest_is_the_highest() -> None:
    row = scheduled()
    PeriodicTask.objects.filter(pk=row.pk).update(priority=200)
    missed(row, 1)
    settle(row)
    assert [job.priority for job in enqueued(row)] == [9]


def test_a_row_that_breaks_at_its_tick_enqueues_nothing_and_keeps_its_position(monkeypatch: pytest.MonkeyPatch) -> None:
    row, good = scheduled(), scheduled("good")
    for one in (row, good):
        missed(one, 1)
    sound = stands(row)
    # Found by nobody before the message is built: a header that Celery itself can't take.
    PeriodicTask.objects.filter(pk=row.pk).update(headers='{"timelimit": ["a", "b"]}')
    settle(row, good)
    assert outcomes(good) == [("run", "", 1)]
    assert (outcomes(row), enqueued(row)) == ([], [])
    assert stands(row).position == sound.position
    assert "time_limit" in stands(row).broken


def test_an_edit_that_is_lost_with_a_bad_row_is_not_lost_for_its_position() -> None:
    row = scheduled(every=3600)
    put_back(row, 10_000)
    PeriodicTask.objects.filter(pk=row.pk).update(clocked=ClockedSchedule.objects.create(clocked_time=ago(-9)))
    settle(row)
    assert stands(row).broken
    PeriodicTask.objects.filter(pk=row.pk).update(clocked=None)
    settle(row)
    assert outcomes(row) == []
    assert stands(row).next_tick > ago(0) - timedelta(seconds=1)


def _worker_that_knows(task: str) -> None:
    now = ago(0)
    Worker.objects.create(id="w", name="w@here", pid=1, queues="default", concurrency=1, pool="prefork", tasks=task,
                          started_at=now, heartbeat_at=now)  # fmt: skip


def test_every_schedule_that_was_read_has_a_standing() -> None:
    rows = [scheduled(name) for name in "abc"]
    assert ScheduleStanding.objects.filter(pk__in=[row.pk for row in rows]).count() == 3
