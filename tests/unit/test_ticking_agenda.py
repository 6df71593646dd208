"""Beat asks the database one question every so often, keeps what comes in mind, and comes at its moment."""

import time
from datetime import timedelta
from typing import Any

import pytest
from celery import signals
from django.db import connection, transaction
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.conf import conf
from jobs.models import Job, ScheduleEdit
from jobs.schedules import triggers
from jobs.ticking.agenda import Agenda
from jobs.ticking.ahead import FEW
from jobs.ticking.ticker import Ticker
from tests.support.moves import USING, together
from tests.support.ticking import (
    TASK,
    ago,
    cron,
    each_statement,
    enqueued,
    fresh,
    headers,
    keep,
    missed,
    outcomes,
    scheduled,
    settle,
    sql,
    stands,
    ticks,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_else() -> None:
    PeriodicTask.objects.all().delete()
    ScheduleEdit.objects.all().delete()


def looked() -> Agenda:
    agenda = Agenda(USING)
    agenda.look()
    return agenda


def tick_for(ticker: Ticker, seconds: float) -> None:
    """What beat's loop does."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(ticker.tick(), left))


def settled(ticker: Ticker) -> Ticker:
    """One that has nothing more to do for now."""
    while ticker.tick() == 0:
        pass
    return ticker


def test_one_statement_tells_all() -> None:
    due, edited, far = scheduled("due"), scheduled("edited"), scheduled("far", every=1000)
    missed(due, 1)
    PeriodicTask.objects.filter(pk=edited.pk).update(queue="emails")
    with each_statement(lambda *_: None) as seen:
        agenda = looked()
    assert len(seen) == 1
    assert (agenda.due(), list(agenda.edited), far.pk in agenda.wakes) == ([due.pk], [edited.pk], False)


def test_what_waits_for_a_live_job_is_told_when_there_is_none() -> None:
    row = scheduled()
    keep(row, overlap="queue")
    for _ in range(2):
        missed(row, 1)
        settle(row)
    assert list(looked().free) == []
    Job.objects.update(state="succeeded")
    assert list(looked().free) == [row.pk]


def test_the_longest_due_comes_first() -> None:
    rows = [scheduled(name) for name in "abc"]
    for number, row in enumerate(rows, 1):
        missed(row, number)
    type(stands(rows[0])).objects.filter(pk=rows[0].pk).update(wake_at=ago(1))
    assert looked().due() == [row.pk for row in reversed(rows)]


def test_an_idle_beat_asks_one_question_a_look() -> None:
    scheduled("far", every=10_000)
    ticker = settled(Ticker(USING))
    with each_statement(lambda *_: None) as seen:
        tick_for(ticker, 5 * conf().look_every)
    assert 3 <= len(seen) <= 6


def test_the_first_look_reads_every_schedule_and_makes_sure_of_the_triggers() -> None:
    row = PeriodicTask.objects.create(name="new", task=TASK, crontab=cron())
    other = PeriodicTask.objects.create(name="untold", task=TASK, crontab=cron())
    ScheduleEdit.objects.filter(schedule_id=other.pk).delete()
    settled(Ticker(USING))
    assert [stands(one).name for one in (row, other)] == ["new", "untold"]


def test_an_edit_is_read_at_the_next_look() -> None:
    row = scheduled()
    ticker = settled(Ticker(USING))
    PeriodicTask.objects.filter(pk=row.pk).update(name="renamed")
    tick_for(ticker, 2 * conf().look_every)
    assert stands(row).name == "renamed"


def test_a_tick_between_two_looks_is_kept_at_its_moment() -> None:
    row = scheduled(every=1)
    tick_for(Ticker(USING), 2.6)
    assert 2 <= len(enqueued(row)) <= 3
    assert all(tick.decided_at >= tick.at for tick in ticks(row))
    assert min((tick.decided_at - tick.at).total_seconds() for tick in ticks(row)) < 0.2


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's clock is the host's")
@pytest.mark.parametrize("hours", [-3, 3])
def test_the_clock_of_the_host_changes_nothing(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    row = scheduled(every=1)
    skew = hours * 3600
    real, real_time = timezone.now, time.time
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(seconds=skew))
    monkeypatch.setattr(time, "time", lambda: real_time() + skew)
    tick_for(Ticker(USING), 2.3)
    assert 1 <= len(enqueued(row)) <= 3
    assert abs((fresh(row).last_run_at - ago(0)).total_seconds()) < 60


def starting(seconds: float) -> list[PeriodicTask]:
    """More than a few that tick for the first time so long from now, all at once."""
    start = ago(-seconds)
    every = IntervalSchedule.objects.create(every=1000, period="seconds")
    columns = {"task": TASK, "interval": every, "start_time": start}
    names = [f"row {number}" for number in range(FEW + 5)]
    PeriodicTask.objects.bulk_create([PeriodicTask(name=name, **columns) for name in names])
    rows = list(PeriodicTask.objects.filter(name__in=names).order_by("pk"))
    settle(*rows)
    return rows


def test_ticks_of_many_schedules_are_prepared_before_their_moment_and_only_the_row_decides() -> None:
    rows = starting(2)
    ticker = Ticker(USING)
    while len(ticker.ahead.prepared) < len(rows):
        time.sleep(min(0.05, ticker.tick()))
    built = {schedule: one.job.id for schedule, one in ticker.ahead.prepared.items()}
    changed, disabled, moved = rows[:3]
    PeriodicTask.objects.filter(pk=changed.pk).update(queue="emails")
    PeriodicTask.objects.filter(pk=disabled.pk).update(enabled=False)
    PeriodicTask.objects.filter(pk=moved.pk).update(start_time=ago(-1000))
    tick_for(ticker, max(0.0, (rows[3].start_time - ago(0)).total_seconds()) + 0.5)
    assert [len(enqueued(row)) for row in rows] == [1, 0, 0, *[1] * (FEW + 2)]
    assert enqueued(changed)[0].queue == "emails"
    assert all(enqueued(row)[0].id == built[row.pk] for row in rows[3:])
    assert {headers(enqueued(row)[0])["tick"] for row in rows[3:]} == {rows[3].start_time.isoformat()}


def test_nothing_is_prepared_in_vain_for_who_listens_to_publishing() -> None:
    rows = starting(1.5)
    told: list[Any] = []

    def listen(headers: Any, **_: Any) -> None:
        told.append(headers["id"])

    signals.before_task_publish.connect(listen)
    try:
        ticker = Ticker(USING)
        tick_for(ticker, max(0.0, (rows[0].start_time - ago(-0.2)).total_seconds()))
        assert (ticker.ahead.prepared, told) == ({}, [])
        tick_for(ticker, 1)
    finally:
        signals.before_task_publish.disconnect(listen)
    assert sorted(told) == sorted(job.id for row in rows for job in enqueued(row))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="A file does not go away")
def test_a_connection_that_breaks_is_no_fault_of_the_schedules() -> None:
    row = scheduled()
    missed(row, 1)
    broken: list[str] = []

    def breaks(number: int, statement: str, params: Any) -> None:
        if statement.startswith("INSERT INTO jobs_scheduletick") and not broken:
            broken.append(statement)
            connection.connection.close()

    with each_statement(breaks):
        settle(row)
    assert broken
    assert (stands(row).broken, outcomes(row), len(enqueued(row))) == ("", [("run", "", 1)], 1)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_triggers_that_can_not_be_made_keep_nobody_from_ticking(caplog: pytest.LogCaptureFixture) -> None:
    row = scheduled()
    missed(row, 1)
    sql("DROP TRIGGER jobs_schedule_edited ON django_celery_beat_periodictask")
    with transaction.atomic():
        PeriodicTask.objects.select_for_update().get(pk=scheduled("held").pk)
        together(lambda: [Ticker(USING).tick() for _ in range(2)])
    assert outcomes(row) == [("run", "", 1)]
    assert any("can't be made" in said for said in caplog.messages)
    settled(Ticker(USING))
    assert triggers.missing(USING) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_job_that_somebody_has_locked_for_long_delays_its_own_schedule_only(caplog: pytest.LogCaptureFixture) -> None:
    held, *good = rows = [scheduled(f"row {number}", every=1) for number in range(5)]
    keep(held, overlap="cancel")
    missed(held, 1, every=1)
    settle(held)
    before = len(ticks(held))
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=enqueued(held)[0].pk)
        together(lambda: tick_for(Ticker(USING), 3.5))
        assert len([said for said in caplog.messages if "can't be settled together" in said]) <= 2
    assert all(len(ticks(row)) >= 3 for row in good)
    assert len(ticks(held)) == before
    tick_for(Ticker(USING), 1.2)
    assert len(ticks(held)) > before
    assert all(stands(row).broken == "" for row in rows)
