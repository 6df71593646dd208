"""Ringing: after the commit, for what is in it, in one pipeline, on the database that the row is in."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import group
from django.db import connections, transaction

from jobs import broker, lifecycle
from jobs.ledger.publish import collecting
from jobs.models import Job
from jobs.states import State
from tests.plain_tasks import add
from tests.support.moves import USING, in_state, queued, row, rung
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pipelines(bell: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pipelines went to Redis so far: one entry each. They do go there."""
    sent: list[int] = []
    original = broker.client().pipeline

    def counted(*args: Any, **kwargs: Any) -> Any:
        sent.append(len(sent) + 1)
        return original(*args, **kwargs)

    monkeypatch.setattr(broker.client(), "pipeline", counted)
    return sent


def test_nothing_is_rung_before_the_commit(bell: ValkeyServer) -> None:
    with transaction.atomic():
        job_id = queued()
        assert rung(bell) == []
    assert rung(bell) == [job_id]


def test_a_rolled_back_transaction_rings_nobody(bell: ValkeyServer) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        queued()
        queued()
        raise RuntimeError
    assert rung(bell) == []
    later = queued()
    assert rung(bell) == [later]


def test_a_rolled_back_savepoint_takes_only_its_own_rings_with_it(bell: ValkeyServer) -> None:
    with transaction.atomic():
        first = queued()
        with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
            queued()
            with transaction.atomic():
                queued()
            raise RuntimeError
        with transaction.atomic():
            second = queued()
        third = queued()
    assert rung(bell) == [first, second, third]
    assert set(Job.objects.values_list("id", flat=True)) == {first, second, third}


def test_a_transaction_rings_once_for_all_its_jobs(pipelines: list[int], bell: ValkeyServer) -> None:
    with transaction.atomic():
        posted = [queued() for _ in range(20)]
    assert len(pipelines) == 1
    assert rung(bell) == posted


def test_a_group_rings_once(pipelines: list[int], bell: ValkeyServer) -> None:
    result = group(add.s(i, i) for i in range(30)).apply_async()
    assert len(pipelines) == 1
    assert rung(bell) == [member.id for member in result.results]


def test_what_is_collected_rings_once(pipelines: list[int], bell: ValkeyServer) -> None:
    with collecting():
        posted = [queued() for _ in range(5)]
        assert not Job.objects.exists()
    assert len(pipelines) == 1
    assert rung(bell) == posted


def test_moves_of_every_kind_in_one_transaction_ring_once(pipelines: list[int], bell: ValkeyServer) -> None:
    dead = in_state(State.DEAD)
    pipelines.clear()
    bell.flushall()
    with transaction.atomic():
        posted = queued()
        lifecycle.requeue([dead], by="ada", using=USING)
    assert len(pipelines) == 1
    assert rung(bell) == [posted, dead]


def test_a_collection_that_ends_in_an_error_inserts_and_rings_nothing(bell: ValkeyServer) -> None:
    with pytest.raises(RuntimeError), collecting():  # noqa: PT012
        queued()
        raise RuntimeError
    assert not Job.objects.exists()
    assert rung(bell) == []


def test_a_second_transaction_rings_nothing_of_the_first(pipelines: list[int], bell: ValkeyServer) -> None:
    with transaction.atomic():
        queued()
    bell.flushall()
    with transaction.atomic():
        second = queued()
    assert rung(bell) == [second]
    assert len(pipelines) == 2


def test_a_ring_that_fails_does_not_fail_the_caller_who_has_committed(bell: ValkeyServer) -> None:
    after: list[str] = []
    bell.stop()
    with transaction.atomic():
        job_id = queued()
        transaction.on_commit(lambda: after.append("the caller's own"))
    assert row(job_id).rung_at is None
    assert after == ["the caller's own"]


@pytest.fixture
def second() -> Iterator[str]:
    """Another connection, with transactions of its own, to the same database."""
    connections["second"] = connections[USING].copy("second")
    yield "second"
    connections["second"].close()
    del connections["second"]


def test_the_commit_of_the_rows_own_connection_rings(second: str, bell: ValkeyServer) -> None:
    message = row(queued())
    bell.flushall()
    message.id = "on-the-second"
    with transaction.atomic(using=second):
        lifecycle.enqueue([message], using=second)
        assert hints_now(bell) == 0
    assert hints_now(bell) == 1


def hints_now(bell: ValkeyServer) -> int:
    return len(rung(bell))
