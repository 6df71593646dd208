"""What becomes of ticks that nobody kept: by the schedule's policy, told in the rows of its ticks."""

import pytest

from jobs.conf import conf
from tests.support.ticking import ago, enqueued, headers, keep, missed, outcomes, put_back, scheduled, settle, ticks

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
