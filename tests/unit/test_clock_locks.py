"""The clock waits for nobody's lock, and no longer than a moment."""

import time
from collections.abc import Iterator

import pytest
from django.db import connections, transaction

from jobs.clock import Clock
from jobs.clock.clock import Duty
from jobs.clock.rescuer import Rescuer
from jobs.conf import conf
from jobs.ledger.locks import RowLocked, impatient
from jobs.lifecycle.moment import now
from jobs.models import Job, Queue
from jobs.states import State
from tests.conftest import ON_POSTGRES
from tests.support.moves import USING, later, queued, row, running

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="SQLite has one lock, and nobody keeps it for ever"),
]


@pytest.fixture
def other() -> Iterator[str]:
    """A session that keeps its locks until the test has ended: a worker that froze in a transaction."""
    connections["other"] = connections[USING].copy("other")
    connections["other"].set_autocommit(False)
    yield "other"
    connections["other"].rollback()
    connections["other"].close()
    del connections["other"]


def lock(table: str, key: str, value: str, using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {table} WHERE {key} = %s FOR UPDATE", [value])


def test_a_statement_that_has_to_wait_is_given_up(other: str) -> None:
    job_id = queued()
    lock("jobs_job", "id", job_id, other)
    start = time.monotonic()
    with pytest.raises(RowLocked, match="pg_stat_activity"), impatient(USING):
        Job.objects.filter(id=job_id).update(rung_at=None)
    assert conf().lock_patience <= time.monotonic() - start < conf().lock_patience + 2


def test_the_transaction_around_it_is_rolled_back_whole(other: str) -> None:
    locked, free = queued(), queued()
    lock("jobs_job", "id", locked, other)
    with pytest.raises(RowLocked), impatient(USING), transaction.atomic():  # noqa: PT012
        Job.objects.filter(id=free).update(rung_at=None)
        Job.objects.filter(id=locked).update(rung_at=None)
    assert row(free).rung_at is not None


def test_what_is_not_locked_is_written_and_no_limit_stays_behind() -> None:
    job_id = queued()
    with impatient(USING):
        assert Job.objects.filter(id=job_id).update(rung_at=None) == 1
        with transaction.atomic():
            assert Job.objects.select_for_update().get(id=job_id).rung_at is None
    with connections[USING].cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def orphan(**options: str) -> str:
    job_id, _ = running(**options)
    Job.objects.filter(id=job_id).update(started_at=later(-99))
    return job_id


@pytest.mark.parametrize("table", ["job", "queue"])
def test_an_orphan_that_somebody_keeps_locked_keeps_no_other_from_being_rescued(table: str, other: str) -> None:
    Queue.objects.update_or_create(name="payments", defaults={"limit": 1})
    locked, free = orphan(queue="payments"), orphan()
    lock("jobs_job", "id", locked, other) if table == "job" else lock("jobs_queue", "name", "payments", other)
    rescuer = Rescuer()
    rescuer.looked = now(USING)
    clock = Clock(USING)
    clock.duties = [Duty(rescuer.rescue, 60)]
    clock.tick()
    clock.tick()  # it had waited for longer than the work of a tick may take
    assert (row(locked).state, row(free).state) == (State.RUNNING, State.RETRYING)
    assert rescuer.calm_from == 0
    connections[other].rollback()
    clock.duties = [Duty(rescuer.rescue, 60)]
    clock.tick()
    assert row(locked).state == State.RETRYING
