"""A tick becomes one job: with any number of beats, and whatever ends one of them between two statements."""

from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.utils.dateparse import parse_datetime

from jobs.models import Job, ScheduleTick
from jobs.registry import registered_tasks
from jobs.states import State
from tests.support.moves import together
from tests.support.ticking import (
    each_statement,
    enqueued,
    fresh,
    headers,
    missed,
    outcomes,
    put_back,
    scheduled,
    settle,
    stands,
    ticks,
)

pytestmark = pytest.mark.django_db(transaction=True)
ON_POSTGRES = connection.vendor == "postgresql"


class Crash(BaseException):
    """Nothing of ours catches it, as nothing catches a kill."""


def test_a_tick_enqueues_a_job_that_knows_its_schedule_and_its_time() -> None:
    row = scheduled()
    missed(row, 1)
    settle(row)
    [job], [tick] = enqueued(row), ticks(row)
    assert (job.state, job.task, tick.outcome, tick.job_id) == (State.QUEUED, row.task, "run", job.id)
    found = headers(job)
    assert found["periodic_task_name"] == row.name
    assert parse_datetime(found["tick"]) == tick.at
    assert found["celery_beat_task"] is True


def test_its_row_tells_when_it_ran_last_and_how_often() -> None:
    row = scheduled()
    for times in (1, 2):
        missed(row, 1)
        settle(row)
        assert fresh(row).total_run_count == times
        assert fresh(row).last_run_at == ticks(row)[-1].decided_at


def test_nothing_runs_before_its_time() -> None:
    row = scheduled()
    settle(row)
    assert (enqueued(row), ticks(row)) == ([], [])
    assert stands(row).next_tick == stands(row).wake_at > stands(row).position


def test_settling_again_does_nothing_more() -> None:
    row = scheduled()
    missed(row, 1)
    settle(row)
    settle(row)
    assert len(enqueued(row)) == len(ticks(row)) == 1


def test_after_a_tick_it_stands_at_the_next_one_on_its_grid() -> None:
    row = scheduled()
    missed(row, 1)
    settle(row)
    standing, [tick] = stands(row), ticks(row)
    assert standing.position == tick.decided_at
    assert (standing.next_tick - tick.at).total_seconds() == 10
    assert standing.wake_at == standing.next_tick


def test_of_two_beats_that_come_to_a_tick_one_enqueues_its_job() -> None:
    row = scheduled()
    missed(row, 1)
    together(*[lambda: settle(row)] * 4)
    assert len(enqueued(row)) == len(ticks(row)) == 1
    assert fresh(row).total_run_count == 1


def test_a_tick_that_was_settled_before_is_not_enqueued_again_though_beat_believes_so() -> None:
    row = scheduled()
    missed(row, 1)
    before = stands(row)
    settle(row)
    before.save()
    settle(row)
    assert len(enqueued(row)) == len(ticks(row)) == fresh(row).total_run_count == 1
    assert stands(row).position > before.position


def test_a_crash_after_any_statement_leaves_nothing_and_the_next_beat_does_it_once() -> None:
    row, other = scheduled(), scheduled("other")
    number, crashed = 0, True
    while crashed:
        number += 1
        for one in (row, other):
            missed(one, 1)
        crashed = _crashes_after(number, row, other)
        if crashed:
            assert not Job.objects.exists()
            assert not ScheduleTick.objects.exists()
            assert [fresh(one).total_run_count for one in (row, other)] == [0, 0]
    assert number > 5
    settle(row, other)
    assert [len(enqueued(one)) for one in (row, other)] == [1, 1]
    assert [fresh(one).total_run_count for one in (row, other)] == [1, 1]


def _crashes_after(number: int, *rows: Any) -> bool:
    """Whether there were so many statements before the commit."""

    def crash(count: int, statement: str, params: Any) -> None:
        if count >= number and connection.in_atomic_block:
            raise Crash

    try:
        with each_statement(crash):
            settle(*rows)
    except Crash:
        return True
    return False


def test_what_the_database_refuses_of_one_is_no_fault_of_the_others() -> None:
    cursed, good = scheduled("cursed"), scheduled("good")
    for row in (cursed, good):
        missed(row, 1)

    def refuse(number: int, statement: str, params: Any) -> None:
        if statement.startswith("INSERT INTO jobs_job") and any("cursed" in str(value) for value in params):
            raise DataError("refused")

    with each_statement(refuse):
        settle(cursed, good)
    assert [len(enqueued(row)) for row in (cursed, good)] == [0, 1]
    assert "refused" in stands(cursed).broken
    settle(cursed)
    assert (len(enqueued(cursed)), stands(cursed).broken) == (1, "")


def test_some_hundred_ticks_are_a_few_statements() -> None:
    rows = [scheduled(f"row {number}") for number in range(30)]
    for row in rows:
        missed(row, 1)
    with each_statement(lambda *_: None) as seen:
        settle(*rows)
    assert len(Job.objects.all()) == 30
    assert len(seen) <= 12


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite locks the whole database")
def test_a_row_that_somebody_has_locked_is_tried_again_and_the_others_tick() -> None:
    held, good = scheduled("held"), scheduled("good")
    for row in (held, good):
        missed(row, 1)
    with transaction.atomic():
        type(held).objects.select_for_update().get(pk=held.pk)
        [settled] = together(lambda: settle(held, good))
    assert settled.locked == [held.pk]
    assert [len(enqueued(row)) for row in (held, good)] == [0, 1]
    settle(held)
    assert len(enqueued(held)) == 1


def test_its_last_tick_is_not_forgotten_when_nothing_is_due_for_long() -> None:
    row = scheduled()
    put_back(row, 3)
    settle(row)
    assert outcomes(row) == []
    assert stands(row).wake_at == stands(row).next_tick


def test_a_tick_whose_job_a_live_twin_kept_out_names_the_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    task: Any = registered_tasks()["tests.plain_tasks.echo"]

    def one_at_a_time(self: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        return super(type(task), self).apply_async(args, kwargs, **{**options, "unique_key": "one"})

    monkeypatch.setattr(type(task), "apply_async", one_at_a_time, raising=False)
    row, beside = scheduled(task=task.name), scheduled("beside")
    for _ in range(2):
        for one in (row, beside):
            missed(one, 1)
        settle(row, beside)
    [job] = enqueued(row)
    assert [(tick.outcome, tick.why, tick.job_id) for tick in ticks(row)] == [
        ("run", "", job.id),
        ("skipped", "overlap", job.id),
    ]
    assert outcomes(beside) == [("run", "", 1)] * 2
