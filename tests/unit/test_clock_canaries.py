"""Canaries: lost hints are found in lists that never get empty, and a long healthy backlog is left alone."""

import json
import time
from typing import Any

import pytest

from jobs import broker
from jobs.clock import canaries
from jobs.clock.canaries import Canaries
from jobs.conf import conf
from jobs.ledger.publish import collecting
from jobs.models import Job
from tests.support.moves import USING, hints, later, queued, row, rung, take
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def old(*ids: str, seconds: float = 60) -> None:
    """They were rung so long ago."""
    Job.objects.filter(id__in=ids).update(rung_at=later(-seconds))


def pop(queue: str = "default", priority: int | None = None) -> bytes:
    """What a worker pops from one list, and does if it is a canary (as our transport)."""
    raw = broker.client().rpop(broker.PREFIX + broker.list_of(queue, priority))
    assert isinstance(raw, bytes)
    if told := broker.canary_stamp(raw):
        broker.client().set(broker.PREFIX + told[0], told[1])
    return raw


def lost_half(bell: ValkeyServer, n: int = 4) -> tuple[list[str], list[str]]:
    """(ids without a hint, ids with one) of old jobs in one list."""
    lost = [queued() for _ in range(n)]
    bell.flushall()
    kept = [queued() for _ in range(n)]
    old(*lost, *kept)
    return lost, kept


def find(finder: Canaries) -> int:
    """One turn; how many were rung again."""
    return sum(finder.find_lost(USING))


def in_a_while(finder: Canaries) -> int:
    """Two turns, the second long enough after the first."""
    first = find(finder)
    for name, back in finder.returned.items():
        finder.returned[name] = canaries.Return(back.stamp, back.noticed - conf().reconcile_every)
    return first + find(finder)


def length(name: str = "default", priority: int | None = None) -> int:
    found = broker.client().llen(broker.PREFIX + broker.list_of(name, priority))
    assert isinstance(found, int)
    return found


def test_jobs_whose_hints_a_canary_did_not_find_are_rung_again(bell: ValkeyServer) -> None:
    lost, kept = lost_half(bell)
    finder = Canaries()
    assert find(finder) == 0
    for job_id in kept:
        pop()
        take(job_id)
    queued()  # the list is never empty
    pop()  # the canary
    assert in_a_while(finder) == len(lost)
    assert set(lost) < set(rung(bell))
    assert row(lost[0]).rung_at > later(-10)


def test_nobody_is_rung_again_before_the_canary_came_through(bell: ValkeyServer) -> None:
    lost_half(bell)
    finder = Canaries()
    assert [in_a_while(finder) for _ in range(5)] == [0] * 5
    assert length() == 4 + 1


def test_a_hint_that_was_popped_just_before_the_canary_gets_a_moment_to_be_claimed(bell: ValkeyServer) -> None:
    job_id, other = queued(), queued()
    old(job_id, other)
    finder = Canaries()
    find(finder)
    for _ in range(3):
        pop()
    queued()
    assert find(finder) == 0
    take(job_id)
    take(other)
    assert in_a_while(finder) == 0


def test_what_was_rung_after_the_canary_is_left_alone(bell: ValkeyServer) -> None:
    job_id = queued()
    old(job_id)
    finder = Canaries()
    find(finder)
    pop()
    take(job_id)
    pop()
    waiting = [queued() for _ in range(3)]
    assert in_a_while(finder) == 0
    assert rung(bell) == waiting


def test_a_long_healthy_backlog_is_left_alone_for_ever(bell: ValkeyServer) -> None:
    """2,000 jobs behind a slow worker: no hint more than jobs, but for one canary, however often it comes round."""
    with collecting():
        ids = [queued() for _ in range(2000)]
    old(*ids[:500])
    Job.objects.update(rung_at=later(-3600))
    finder = Canaries()
    for job_id in ids[:30]:
        pop()
        take(job_id)
        assert in_a_while(finder) == 0
    waiting = Job.objects.startable().count()
    assert broker.depths(["default"])["default"] == waiting == 1970
    assert length() == 1970 + 1


def test_a_queue_that_nobody_reads_holds_one_canary(bell: ValkeyServer) -> None:
    old(queued())
    for _ in range(3):
        finder = Canaries()  # each of a leader of its own
        for _ in range(3):
            Job.objects.update(rung_at=later(-3600))
            assert find(finder) == 0
    assert length() == 2
    assert broker.depths(["default"]) == {"default": 1}


def test_a_canary_that_was_lost_with_its_list_is_followed_by_another(
    bell: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = queued()
    old(job_id)
    finder = Canaries()
    find(finder)
    broker.client().delete(broker.PREFIX + "default", broker.PREFIX + broker.list_of("default", None))
    queued()
    sent = broker.look([broker.list_of("default", None)])[broker.list_of("default", None)]
    assert (sent.hints, sent.probed) == (1, False)
    broker.client().set(broker.PREFIX + broker.SENT + broker.list_of("default", None), 1)  # long ago
    find(finder)
    assert length() == 2
    pop()
    pop()
    queued()
    assert in_a_while(finder) == 1


def test_the_next_canary_goes_a_while_after_the_last(bell: ValkeyServer) -> None:
    job_id = queued()
    finder = Canaries()
    for _ in range(3):
        old(job_id)
        find(finder)
        pop()
        if length() == 0:
            queued()
    name = broker.list_of("default", None)
    sent = broker.look([name])[name].sent
    find(finder)
    assert broker.look([name])[name].sent == sent


def test_each_priority_is_a_line_of_its_own(bell: ValkeyServer) -> None:
    low, high = queued(), queued(priority=9)
    old(low, high)
    finder = Canaries()
    find(finder)
    assert (length(), length(priority=9)) == (2, 2)
    pop(priority=9)
    pop(priority=9)
    late = queued(priority=9)
    assert in_a_while(finder) == 1
    assert [hint["headers"]["id"] for hint in hints_of(9)] == [late, high]
    assert length() == 2


def hints_of(priority: int) -> list[Any]:
    raw: Any = broker.client().lrange(broker.PREFIX + broker.list_of("default", priority), 0, -1)
    return [json.loads(text) for text in reversed(raw) if not broker.canary_stamp(text)]


def test_an_empty_list_needs_no_canary(bell: ValkeyServer) -> None:
    job_id, fresh = queued(), queued()
    old(job_id)
    bell.flushall()
    assert find(Canaries()) == 1
    assert [hint["headers"]["id"] for hint in hints(bell)] == [job_id]
    assert row(fresh).rung_at > later(-10)


def test_a_list_of_one_priority_that_was_lost_is_rung_again_while_another_has_hints(bell: ValkeyServer) -> None:
    low, high = queued(), queued(priority=9)
    old(low, high)
    broker.client().delete(broker.PREFIX + broker.list_of("default", None))
    assert find(Canaries()) == 1
    assert set(rung_without_canary(bell)) == {low, high}


def rung_without_canary(bell: ValkeyServer) -> list[str]:
    while length(priority=9) > 1:
        broker.client().lpop(broker.PREFIX + "default")
    return rung(bell)


def test_however_many_are_lost_they_are_rung_in_rounds(bell: ValkeyServer) -> None:
    with collecting():
        ids = [queued() for _ in range(conf().batch + 7)]
    old(*ids)
    bell.flushall()
    assert list(Canaries().find_lost(USING)) == [conf().batch, 7]
    assert rung(bell) == ids


def test_a_redis_that_is_gone_is_no_reason_to_ring(bell: ValkeyServer) -> None:
    old(queued())
    bell.stop()
    assert find(Canaries()) == 0
    assert broker.breaker.open()
    assert broker.breaker.closed_again > time.monotonic()
