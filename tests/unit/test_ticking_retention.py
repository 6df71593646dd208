"""What became of ticks is kept as long as ended jobs; nothing is left of deleted schedules."""

import pytest
from django_celery_beat.models import PeriodicTask

from jobs import retention
from jobs.conf import conf
from jobs.models import SchedulePolicy, ScheduleStanding, ScheduleTick
from tests.support.ticking import ago, fresh, keep, missed, outcomes, scheduled, settle, sql

pytestmark = pytest.mark.django_db(transaction=True)


def decided(row: PeriodicTask, days: float) -> None:
    ScheduleTick.objects.filter(schedule_id=row.pk).update(decided_at=ago(days * 86_400))


def test_old_ticks_go_and_younger_ones_stay() -> None:
    old, young = scheduled("old"), scheduled("young")
    for row in (old, young):
        missed(row, 1)
        settle(row)
    decided(old, conf().retention_days + 1)
    decided(young, conf().retention_days - 1)
    assert retention.prune()["ticks"] == 1
    assert (outcomes(old), len(outcomes(young))) == ([], 1)
    assert fresh(old).total_run_count == 1


def test_a_tick_that_still_waits_for_its_run_stays() -> None:
    row = scheduled()
    keep(row, overlap="queue")
    for _ in range(2):
        missed(row, 1)
        settle(row)
    decided(row, conf().retention_days + 1)
    retention.prune()
    assert outcomes(row) == [("waits", "", 1)]


def test_nothing_is_left_of_a_schedule_that_somebody_deleted_with_sql() -> None:
    row, other = scheduled("row"), scheduled("other")
    for one in (row, other):
        keep(one, missed="all")
        missed(one, 1)
        settle(one)
    sql("DELETE FROM django_celery_beat_periodictask WHERE id = %s", row.pk)
    assert retention.prune()["schedule leftovers"] == 3
    for kept in (ScheduleTick, ScheduleStanding, SchedulePolicy):
        assert list(kept.objects.values_list("schedule_id", flat=True)) == [other.pk]
