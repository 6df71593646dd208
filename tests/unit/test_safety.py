"""Which broker is refused, and which is not."""

import logging
from dataclasses import replace

import pytest
import redis
from django.conf import settings

from jobs import broker, safety
from jobs.conf import conf
from jobs.registry import registered_tasks
from tests.support.valkey import ValkeyServer


@pytest.fixture
def policy(bell: ValkeyServer):
    """Sets the policy of the test's Valkey; afterwards it evicts nothing again."""

    def choose(name: str) -> None:
        with bell.client() as client:
            client.config_set("maxmemory-policy", name)

    yield choose
    choose("noeviction")


@pytest.mark.parametrize("name", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_broker_that_evicts_queues_is_refused(policy, name: str) -> None:
    policy(name)
    with pytest.raises(safety.EvictingBroker, match=f"{name}.*Set maxmemory-policy noeviction"):
        safety.refuse_unsafe_broker()


@pytest.mark.parametrize("name", ["noeviction", "volatile-lru", "volatile-ttl"])
def test_a_broker_that_keeps_keys_without_an_end_is_taken(policy, name: str) -> None:
    policy(name)
    assert safety.refuse_unsafe_broker()


def test_the_process_ends_with_one_sentence(policy, caplog: pytest.LogCaptureFixture) -> None:
    policy("allkeys-lru")
    with pytest.raises(SystemExit) as ended:
        safety.end_if_unsafe()
    assert ended.value.code == 1
    assert [(line.levelno, "noeviction" in line.getMessage(), line.exc_info) for line in caplog.records] == [
        (logging.CRITICAL, True, None)
    ]


def test_allowed_by_the_operator_it_is_an_alarm(policy, monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(safety, "conf", lambda: replace(conf(), allow_unsafe_broker=True))
    policy("allkeys-lru")
    assert safety.end_if_unsafe()
    [line] = caplog.records
    assert line.levelno == logging.ERROR
    assert "allkeys-lru" in line.getMessage()
    assert "JOBS_ALLOW_UNSAFE_BROKER" in line.getMessage()


def test_a_redis_that_does_not_answer_is_asked_again_later(bell: ValkeyServer) -> None:
    bell.stop()
    assert not safety.end_if_unsafe()
    assert broker.breaker.open()
    bell.start()
    assert not safety.end_if_unsafe(), "left alone for a while"
    broker.breaker.closed_again = 0
    assert safety.end_if_unsafe()


def test_a_redis_that_refuses_info_is_taken_with_a_warning(bell: ValkeyServer, caplog) -> None:
    with bell.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-info")
        try:
            assert safety.end_if_unsafe()
        finally:
            client.execute_command("ACL", "SETUSER", "default", "+info")
    assert [line.levelno for line in caplog.records] == [logging.WARNING]


def test_no_connection_stays_open_after_the_question() -> None:
    assert safety.refuse_unsafe_broker()
    pool: redis.ConnectionPool = broker.client().connection_pool
    assert [one for one in pool._available_connections if one._sock is not None] == []


@pytest.mark.parametrize(("timeout", "fits"), [(306, True), (305, False)])
def test_the_visibility_timeout_must_outlast_the_longest_task(monkeypatch, timeout: int, fits: bool) -> None:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "visibility_timeout": timeout}
    monkeypatch.setattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", options)
    refusal = safety.short_visibility()
    assert (refusal is None) is fits
    if not fits:
        with pytest.raises(safety.ShortVisibilityTimeout, match="Set VISIBILITY_TIMEOUT=306 or more"):
            safety.refuse_unsafe_broker()


def test_a_tasks_own_limit_counts(monkeypatch) -> None:
    monkeypatch.setattr(registered_tasks()["send_email"], "time_limit", 1000)
    assert safety.longest_limit() == ("send_email", 1000)
    refusal = safety.short_visibility()
    assert refusal is not None
    assert (refusal.task, refusal.limit) == ("send_email", 1000)
