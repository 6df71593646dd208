"""What becomes of ticks that nobody kept: by the schedule's policy, told in the rows of its ticks."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.conf import conf
from jobs.policies import Missed
from jobs.ticking.ticker import Ticker
from jobs.timing.every import Every
from jobs.timing.plan import Outage, Policy, Schedule, plan
from tests.support.moves import USING
from tests.support.ticking import (
    ago,
    enqueued,
    fresh,
    headers,
    keep,
    missed,
    outcomes,
    put_back,
    scheduled,
    settle,
    stands,
    ticks,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_by_default_the_last_of_them_runs_for_all() -> None:
    row = scheduled()
    missed(row, 5)
    settle(row)
    assert outcomes(row) == [("skipped", "replaced", 4), ("run", "", 1)]
    assert len(enqueued(row)) == 1
    assert headers(enqueued(row)[0])["tick"] == ticks(row)[-1].at.isoformat()


def test_skipped_together_they_are_one_row_from_the_first_to_the_last() -> None:
    row = scheduled()
    missed(row, 5)
    settle(row)
    skipped = ticks(row)[0]
    assert skipped.first_at is not None
    assert (skipped.at - skipped.first_at).total_seconds() == 30


def test_skip_runs_none_of_them() -> None:
    row = scheduled(every=100)
    keep(row, missed="skip")
    missed(row, 3, every=100)
    settle(row)
    assert outcomes(row) == [("skipped", "missed", 3)]


def test_skip_runs_a_tick_that_is_hardly_late() -> None:
    row = scheduled(every=100)
    keep(row, missed="skip")
    put_back(row, 100 + conf().late_after / 2)
    settle(row)
    assert outcomes(row) == [("run", "", 1)]


def test_all_runs_each_up_to_a_number() -> None:
    row = scheduled()
    keep(row, missed="all", missed_limit=3)
    missed(row, 5)
    settle(row)
    assert outcomes(row) == [("skipped", "limit", 2), *[("run", "", 1)] * 3]
    assert [headers(job)["tick"] for job in enqueued(row)] == [tick.at.isoformat() for tick in ticks(row)[1:]]


def test_what_is_later_than_its_maximum_lateness_does_not_run() -> None:
    row = scheduled()
    keep(row, missed="all", max_lateness=20)
    missed(row, 5)
    settle(row)
    assert outcomes(row) == [("skipped", "late", 3), *[("run", "", 1)] * 2]


def test_what_was_missed_when_the_schedule_has_ended_does_not_run() -> None:
    row = scheduled()
    type(row).objects.filter(pk=row.pk).update(expires=ago(12))
    missed(row, 3)
    settle(row)
    assert outcomes(row) == [("skipped", "ended", 2)]


def test_jitter_lets_the_job_of_a_tick_wait() -> None:
    row = scheduled()
    keep(row, jitter=100_000)
    missed(row, 1)
    settle(row)
    [job], [tick] = enqueued(row), ticks(row)
    assert job.state == "scheduled"
    assert job.run_at is not None
    assert 0 < (job.run_at - tick.at).total_seconds() <= 100_000


def test_who_catches_up_with_thousands_does_so_in_turns_between_the_others() -> None:
    row = scheduled(every=1)
    keep(row, missed="all", missed_limit=1500)
    put_back(row, 1600.5)
    turns = 0
    while stands(row).position < ago(1):
        other = scheduled(f"other {turns}")
        missed(other, 1)
        settle(row, other)
        assert outcomes(other) == [("run", "", 1)]
        turns += 1
    assert 6 <= turns <= 8
    found = [job.id for job in enqueued(row)]
    assert 1500 <= len(found) <= 1510
    assert found == [tick.job_id for tick in ticks(row) if tick.outcome == "run"]
    assert [tick.count for tick in ticks(row) if tick.outcome == "skipped"] == [100]
    assert fresh(row).total_run_count == len(found)


def test_what_is_left_for_the_next_turn_is_taken_up_at_once() -> None:
    row = scheduled(every=1)
    keep(row, missed="all", missed_limit=1100, overlap="cancel")
    put_back(row, 1100.5)
    ticker = Ticker(USING)
    while ticker.tick() == 0:
        pass
    assert len(enqueued(row)) in (1, 2)
    assert outcomes(row)[:1100] == [("skipped", "superseded", 1)] * 1099 + [("run", "", 1)]


def test_no_policy_lets_more_run_together_than_a_database_can_take() -> None:
    timing = Every(timedelta(seconds=1), datetime(2026, 1, 1, tzinfo=UTC))
    down = Outage(timing.anchor, timing.anchor + timedelta(days=1))
    found = list(plan(Schedule(timing), Policy(Missed.ALL, 2**31), down.since, down.until, [down]))
    assert (found[0].outcome, found[0].count, len(found)) == ("skipped", 76_400, 10_001)
