"""The ring: the stock Celery message, in priority order; it never raises, and never holds the caller for long."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery, signature
from django.conf import settings

from jobs import broker, lifecycle
from jobs.broker import Hint
from jobs.conf import conf
from jobs.queues import kombu_queues
from jobs.states import State
from tests.plain_tasks import add, echo
from tests.support.moves import USING, body_of, hints, queued, row, rung, running
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)

#: What a caller may ask for, as `send_task` takes it.
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "queue": {"queue": "heavy"},
    "limits": {"time_limit": 30, "soft_time_limit": 20},
    "headers": {"headers": {"tenant": "eu", "n": 3}},
    "shadow": {"shadow": "pretty name"},
    "links": {"link": signature("tests.plain_tasks.note", ("x",)), "link_error": signature("tests.plain_tasks.fail")},
    "chord": {"chord": signature("tests.plain_tasks.total"), "group_id": "g", "root_id": "r", "parent_id": "p"},
    "retries": {"retries": 2},
    "ignore": {"ignore_result": True},
    "odd arguments": {"kwargs": {"when": datetime(2030, 1, 2, tzinfo=UTC), "nul": "a\x00b", "nan": "ü"}},
}


@pytest.fixture(scope="module")
def plain() -> Iterator[Celery]:
    """Celery as it is, with the same settings."""
    app = Celery("plain", set_as_current=False, fixups=[])
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.update(task_queues=kombu_queues(), result_backend="disabled://")
    app.finalize()
    yield app
    app.close()


def published(app: Celery | None, bell: ValkeyServer, options: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """(the keys in Redis, the one message) of a call through this app, or through ours."""
    bell.flushall()
    options = {"task_id": "job-1", "args": (1, 2), "kwargs": {}, "reply_to": "answers", **options}
    (app or add.app).send_task("tests.plain_tasks.echo", **options)
    with bell.client() as client:
        keys = [key for key in client.keys("*") if not key.split(":")[1].startswith("_kombu")]
    (message,) = hints(bell, options.get("queue", "default"))
    return keys, message


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("priority", [0, 3, 9, None])
def test_a_ring_is_the_message_that_stock_celery_publishes(
    priority: int | None, options: dict[str, Any], plain: Celery, bell: ValkeyServer
) -> None:
    """9 goes first here, and 0 with stock Celery on Redis: the priority is turned round, and nothing else differs."""
    stock_keys, stock = published(plain, bell, {**options, "priority": 9 - (priority or 0)})
    our_keys, ours = published(None, bell, {**options, "priority": priority})
    assert our_keys == stock_keys
    assert body_of(ours) == body_of(stock)
    for message in (stock, ours):
        message["properties"].pop("delivery_tag")
        message.pop("body")
    assert ours["headers"] == stock["headers"]
    assert ours == stock


def test_times_stay_in_the_table(plain: Celery, bell: ValkeyServer) -> None:
    _, ours = published(None, bell, {"expires": 60, "eta": datetime.now(UTC) - timedelta(seconds=1)})
    assert (ours["headers"]["eta"], ours["headers"]["expires"]) == (None, None)
    assert "expiration" not in ours["properties"]


def test_a_second_ring_is_the_same_message(bell: ValkeyServer) -> None:
    job = row(queued())
    lifecycle.ring([job], USING)
    first, second = hints(bell)
    assert first["properties"].pop("delivery_tag") != second["properties"].pop("delivery_tag")
    assert first == second


def test_higher_priorities_come_first_and_equals_in_the_order_of_acceptance(bell: ValkeyServer) -> None:
    ids = {name: queued(priority=int(name[0])) for name in ("0a", "5a", "9a", "5b", "0b", "9b")}
    low = queued()
    order = ["9a", "9b", "5a", "5b", "0a", "0b"]
    assert rung(bell) == [*(ids[name] for name in order), low]


def test_every_priority_has_a_list_of_its_own() -> None:
    keys = {Hint("default", priority, "{}", "[]").key() for priority in range(10)}
    assert len(keys) == 10
    assert Hint("default", 9, "{}", "[]").key() == "stationmaster:default"
    assert Hint("default", None, "{}", "[]").key() == Hint("default", 0, "{}", "[]").key()


def test_depth_counts_every_priority(bell: ValkeyServer) -> None:
    for priority in (None, 0, 4, 9):
        queued(priority=priority)
    queued(queue="heavy")
    assert broker.depths(["default", "heavy", "emails"]) == {"default": 4, "heavy": 1, "emails": 0}


# --- Redis is gone, or silent ---


@pytest.mark.parametrize("trouble", ["stop", "pause"], ids=["dead", "silent"])
def test_a_redis_that_does_not_answer_costs_one_caller_a_moment_and_no_job(trouble: str, bell: ValkeyServer) -> None:
    queued()  # the connection is open
    getattr(bell, trouble)()
    assert seconds(queued) < conf().redis_timeout + conf().redis_connect_timeout + 1
    assert seconds(lambda: [queued() for _ in range(10)]) < 1
    assert broker.breaker.open()
    assert row(queued()).rung_at is None
    assert row(queued()).state == State.QUEUED


@pytest.mark.parametrize("trouble", ["stop", "pause"], ids=["dead", "silent"])
def test_a_ring_never_raises(trouble: str, bell: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    job = row(queued())
    getattr(bell, trouble)()
    with caplog.at_level(logging.WARNING):
        assert not lifecycle.ring([job], USING)
    assert "wait in the table" in caplog.text
    assert not broker.alive()


def test_the_breaker_leaves_redis_alone_for_a_while_and_then_tries_again(bell: ValkeyServer) -> None:
    bell.stop()
    queued()
    bell.start()
    queued()
    assert rung(bell) == []
    broker.breaker.closed_again = time.monotonic()  # the while is over
    job_id = queued()
    assert rung(bell) == [job_id]


def test_a_connection_that_broke_while_idle_is_opened_again(bell: ValkeyServer) -> None:
    queued()
    bell.restart()
    bell.flushall()
    job_id = queued()
    assert rung(bell) == [job_id]
    assert not broker.breaker.open()


def test_a_running_job_is_no_less_running_when_redis_is_gone(bell: ValkeyServer) -> None:
    job_id, token = running()
    bell.stop()
    assert lifecycle.release(job_id, token, ring=True, using=USING)
    assert (row(job_id).state, row(job_id).rung_at) == (State.QUEUED, None)


def test_nothing_to_ring_asks_nobody(bell: ValkeyServer) -> None:
    bell.stop()
    assert broker.ring([]) == 0
    assert not broker.breaker.open()


def test_a_nearly_full_redis_takes_what_it_can(bell: ValkeyServer) -> None:
    jobs = [row(queued("x" * 40_000, task=echo)) for _ in range(40)]
    bell.flushall()
    with bell.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 900_000)
        done = lifecycle.ring(jobs, USING)
        client.config_set("maxmemory", 0)
    assert 0 < done < 40
    assert rung(bell) == [job.id for job in jobs[:done]]
    assert [row(job.id).rung_at is None for job in jobs] == [False] * done + [True] * (40 - done)


def test_everything_of_ours_in_redis_has_the_prefix(bell: ValkeyServer) -> None:
    queued("x", task=echo)
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    with bell.client() as client:
        assert all(key.startswith(prefix) for key in client.scan_iter())


def seconds(act: Callable[[], Any]) -> float:
    start = time.monotonic()
    act()
    return time.monotonic() - start


# --- Canaries ---


def test_a_popped_canary_says_what_its_popper_must_set() -> None:
    raw = b"stationmaster-canary heavy\x06\x163 1700000000000001"
    assert broker.canary_stamp(raw) == ("canary:heavy\x06\x163", "1700000000000001")


@pytest.mark.parametrize(
    "raw",
    [b"", b'{"body": "e30="}', b"stationmaster-canary", b"stationmaster-canary default", b"\xff\xfe",
     b"stationmaster-canary default soon", b"stationmaster-canary  17"],
)  # fmt: skip
def test_what_is_no_canary_is_a_message(raw: bytes) -> None:
    assert broker.canary_stamp(raw) is None
