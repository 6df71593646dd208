"""What users of stock django-celery-beat rely on keeps working."""

from datetime import timedelta
from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask, SolarSchedule

from tests.support.ticking import (
    ago,
    clocked,
    cron,
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


def change(row: PeriodicTask, **columns: Any) -> None:
    PeriodicTask.objects.filter(pk=row.pk).update(**columns)


def test_a_one_off_runs_once_and_is_switched_off_with_its_last_run_kept() -> None:
    row = scheduled(one_off=True)
    missed(row, 1)
    settle(row)
    after = fresh(row)
    assert (len(enqueued(row)), after.enabled, after.total_run_count) == (1, False, 0)
    assert after.last_run_at is not None
    assert (stands(row).next_tick, stands(row).wake_at) == (None, None)


def test_a_one_off_that_stock_beat_has_run_is_switched_off_and_does_not_run_again() -> None:
    row = scheduled()
    change(row, one_off=True, total_run_count=1)
    missed(row, 1)
    settle(row)
    assert (enqueued(row), fresh(row).enabled) == ([], False)


def test_a_one_off_that_is_enabled_again_runs_again() -> None:
    row = scheduled(one_off=True)
    missed(row, 1)
    settle(row)
    change(row, enabled=True)
    settle(row)
    missed(row, 1)
    settle(row)
    assert (len(enqueued(row)), fresh(row).enabled) == (2, False)


def test_a_clocked_schedule_runs_at_its_time_once() -> None:
    at = ago(-0.3)
    row = scheduled(clocked=clocked(at), one_off=True)
    assert stands(row).next_tick == at
    put_back(row, 60)
    change(row, clocked=clocked(ago(1)))
    settle(row)
    assert (len(enqueued(row)), fresh(row).enabled) == (1, False)


def test_an_interval_with_a_start_ticks_at_it_first_and_counts_from_it() -> None:
    start = ago(25)
    row = scheduled(every=10)
    change(row, start_time=start)
    settle(row)
    assert stands(row).next_tick == start + timedelta(seconds=30)
    later = scheduled("later", every=10, start_time=ago(-100))
    assert stands(later).next_tick == later.start_time


def test_nothing_runs_before_the_start() -> None:
    row = scheduled(every=10, start_time=ago(-100))
    put_back(row, 1000)
    settle(row)
    assert outcomes(row) == []


def test_a_crontab_with_a_start_ticks_after_it() -> None:
    start = ago(-86_400 * 3)
    row = scheduled(crontab=cron(minute="0"), start_time=start)
    assert stands(row).next_tick >= start


def test_what_has_expired_is_switched_off() -> None:
    row = scheduled(expires=ago(-1000))
    assert stands(row).wake_at == stands(row).next_tick
    change(row, expires=ago(1))
    settle(row)
    assert (fresh(row).enabled, stands(row).next_tick, enqueued(row)) == (False, None, [])


def test_it_is_looked_at_when_it_expires_though_no_tick_comes() -> None:
    end = ago(-1000)
    row = scheduled(crontab=cron(minute="0", hour="0", day_of_month="1", month_of_year="1"), expires=end)
    if stands(row).next_tick is None:
        assert stands(row).wake_at == end


def test_its_end_is_the_expiry_of_each_job() -> None:
    end = ago(-1000)
    row = scheduled(expires=end)
    missed(row, 1)
    settle(row)
    assert [job.expires_at for job in enqueued(row)] == [end]


def test_seconds_until_a_job_expires_count_from_when_it_was_due() -> None:
    row = scheduled(expire_seconds=50)
    missed(row, 1)
    settle(row)
    [job], [tick] = enqueued(row), ticks(row)
    assert job.expires_at == tick.decided_at + timedelta(seconds=50)


def test_queue_priority_and_headers_are_the_rows_own() -> None:
    row = scheduled(queue="emails", priority=7, headers='{"trace": "abc"}')
    missed(row, 1)
    settle(row)
    [job] = enqueued(row)
    assert (job.queue, job.priority, headers(job)["trace"]) == ("emails", 7, "abc")


def test_arguments_are_the_rows_own() -> None:
    row = scheduled(task="tests.plain_tasks.add", args="[1]", kwargs='{"y": 2}')
    missed(row, 1)
    settle(row)
    assert [job.body[:15] for job in enqueued(row)] == ['[[1], {"y": 2},']


def test_a_disabled_schedule_does_not_tick() -> None:
    row = scheduled()
    missed(row, 3)
    change(row, enabled=False)
    settle(row)
    assert (outcomes(row), stands(row).wake_at) == ([], None)


def test_a_solar_schedule_stands_at_its_next_event() -> None:
    sun = SolarSchedule.objects.create(event="solar_noon", latitude=52, longitude=13)
    row = scheduled(solar=sun)
    assert timedelta() < stands(row).next_tick - ago(0) <= timedelta(days=1, minutes=5)
    put_back(row, 86_400)
    settle(row)
    assert [outcome for outcome, _, _ in outcomes(row)][-1] == "run"
