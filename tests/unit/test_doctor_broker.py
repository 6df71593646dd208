"""What doctor finds in Redis' INFO."""

from dataclasses import replace
from typing import Any

import pytest

from jobs.conf import conf
from jobs.doctor import broker
from tests.support.finding import codes, only

#: Nothing is wrong with it.
HEALTHY: dict[str, Any] = {
    "redis_version": "7.0.15",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "maxmemory": 1000,
    "maxmemory_human": "1000B",
    "used_memory": 700,
    "used_memory_human": "700B",
    "connected_clients": 80,
    "maxclients": 100,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
}


def found(**changed: Any) -> list[str]:
    return codes(broker.findings({**HEALTHY, **changed}))


def test_a_healthy_redis_is_fine() -> None:
    finding = only(broker.findings(HEALTHY))
    assert finding.severity == "fine"
    assert "Redis 7.0.15" in finding.says
    assert "noeviction" in finding.says


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "error broker.evicts"),
        ({"maxmemory_policy": ""}, "warning broker.unknown"),
        ({"maxmemory_policy": "volatile-lru"}, "info broker.policy"),
        ({"used_memory": 701}, "warning broker.memory"),
        ({"used_memory": 951}, "error broker.memory"),
        ({"connected_clients": 81}, "warning broker.clients"),
        ({"aof_enabled": 0}, "warning broker.persistence"),
        ({"aof_last_write_status": "err"}, "error broker.saving"),
        ({"rdb_last_bgsave_status": "err"}, "error broker.saving"),
        ({"role": "slave"}, "error broker.replica"),
        ({"redis_version": "6.0.5"}, "error broker.version"),
        ({"redis_version": "5.0"}, "error broker.version"),
    ],
)
def test_each_fault_is_found_alone(changed: dict[str, Any], code: str) -> None:
    assert found(**changed) == [code]


def test_what_an_evicting_redis_means_is_told_as_it_is(monkeypatch) -> None:
    evicting = {**HEALTHY, "maxmemory_policy": "allkeys-lru"}
    assert only(broker.findings(evicting)).do == "Workers and beats refuse to start."
    monkeypatch.setattr(broker, "conf", lambda: replace(conf(), allow_unsafe_broker=True))
    assert "start all the same" in only(broker.findings(evicting)).do


def test_the_first_version_that_can_be_looked_through_is_new_enough() -> None:
    for version in ("6.0.6", "6.2", "7.2.4", "255.255.255", ""):
        assert found(redis_version=version) == ["fine broker.fine"]


def test_memory_without_a_limit_is_never_full() -> None:
    assert found(maxmemory=0, used_memory=10**12) == ["fine broker.fine"]


def test_a_real_server_says_what_is_asked_of_it() -> None:
    info = broker.gather()
    assert {"maxmemory_policy", "maxmemory", "used_memory", "aof_enabled", "role", "maxclients"} <= info.keys()


def test_a_redis_that_is_away_is_an_error_without_its_password(bell, settings) -> None:
    settings.REDIS_URL = "redis://someone:secret@127.0.0.1:1234/0"
    bell.stop()
    finding = only(broker.examine())
    assert (finding.severity, finding.code) == ("error", "broker.unreachable")
    assert "redis://127.0.0.1:1234/0" in finding.says
    assert "secret" not in finding.says


def test_an_address_that_can_not_be_read_is_told_without_its_password(settings, monkeypatch) -> None:
    settings.REDIS_URL = "redis://:secret#more@127.0.0.1:6379/0"
    monkeypatch.setattr("jobs.broker._clients", {})
    finding = only(broker.examine())
    assert finding.code == "broker.url"
    assert "secret" not in finding.says + finding.do
