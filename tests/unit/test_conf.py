"""The shipped constants keep what the documents promise; a scale shortens all of them alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.conf import settings

from jobs.conf import SCALED, Conf, conf
from jobs.queues import BUILT_IN

SHIPPED = Conf()


@pytest.fixture
def given(settings: Any) -> Iterator[Any]:
    """Set settings.JOBS for one test."""

    def give(**jobs: Any) -> Conf:
        settings.JOBS = jobs
        conf.cache_clear()
        return conf()

    yield give
    conf.cache_clear()


def test_a_lost_worker_is_noticed_within_45_seconds() -> None:
    assert SHIPPED.heartbeat + SHIPPED.silence + SHIPPED.rescue_every <= 45


def test_a_worker_that_misses_one_heartbeat_is_not_dead_yet() -> None:
    assert SHIPPED.silence >= 2 * SHIPPED.heartbeat


def test_a_due_job_is_rung_within_a_second() -> None:
    assert SHIPPED.dispatch_every <= 1


def test_the_next_beat_leads_within_15_seconds() -> None:
    assert SHIPPED.leader_lease + SHIPPED.standby_every + SHIPPED.dispatch_every <= 15
    assert SHIPPED.leader_lease / 3 > SHIPPED.dispatch_every


def test_a_lost_hint_is_rung_again_within_15_seconds() -> None:
    assert SHIPPED.reconcile_after + SHIPPED.reconcile_every <= 15


def test_a_caller_waits_for_a_dead_redis_no_longer_than_a_moment() -> None:
    assert SHIPPED.redis_connect_timeout + SHIPPED.redis_timeout <= 1.5


def test_redis_gives_no_message_back_before_the_longest_job_has_ended() -> None:
    limits = [task.time_limit for task in current_app.tasks.values() if task.time_limit]
    longest = max([settings.CELERY_TASK_TIME_LIMIT, *limits])
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] > longest + SHIPPED.lease_margin


def test_every_job_has_a_hard_limit_and_a_soft_one_before_it() -> None:
    assert 0 < settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT


def test_the_worker_takes_one_job_at_a_time_and_acks_late() -> None:
    assert settings.CELERY_WORKER_PREFETCH_MULTIPLIER == 1
    assert settings.CELERY_TASK_ACKS_LATE
    assert settings.CELERY_TASK_REJECT_ON_WORKER_LOST


def test_celery_keeps_the_database_connection_between_jobs() -> None:
    assert settings.CELERY_DB_REUSE_MAX > 1_000_000


def test_payments_go_one_by_one() -> None:
    payments = next(queue for queue in BUILT_IN if queue.name == "payments")
    assert (payments.concurrency, payments.limit, payments.in_order) == (1, 1, True)


def test_the_tests_run_at_a_tenth_of_the_time() -> None:
    for name in SCALED:
        shipped, scaled = getattr(SHIPPED, name), getattr(conf(), name)
        if isinstance(shipped, tuple):
            assert scaled == pytest.approx([value / 10 for value in shipped])
        else:
            assert scaled == pytest.approx(shipped / 10)


def test_a_scale_leaves_counts_sizes_and_the_outside_alone(given: Any) -> None:
    scaled = given(TIME_SCALE=0.5)
    others = set(Conf.__dataclass_fields__) - set(SCALED)
    assert {name: getattr(scaled, name) for name in others} == {name: getattr(SHIPPED, name) for name in others}
    assert scaled.heartbeat == SHIPPED.heartbeat / 2


def test_a_setting_overrides_the_shipped_value(given: Any) -> None:
    assert given(HEARTBEAT=3, RETENTION_DAYS=7).heartbeat == 3
    assert conf().retention_days == 7


def test_an_unknown_setting_changes_nothing(given: Any) -> None:
    assert given(QUEUES={}) == SHIPPED
