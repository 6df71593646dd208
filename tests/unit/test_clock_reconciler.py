"""The reconciler rings again what lost its hint, and nothing else."""

import pytest
from django.db import connection, transaction

from jobs import broker, lifecycle
from jobs.clock.reconciler import Reconciler
from jobs.conf import conf
from jobs.ledger.publish import collecting
from jobs.models import Job, Queue, Worker
from jobs.states import Hold, State
from tests.plain_tasks import add, echo
from tests.support.moves import USING, in_state, later, queued, row, rung, running
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def aged(job_id: str, seconds: float | None = None) -> str:
    """A job that was rung so long ago that its hint may be lost."""
    Job.objects.filter(id=job_id).update(rung_at=later(-(conf().reconcile_after + 1 if seconds is None else seconds)))
    return job_id


def reconcile() -> None:
    """One turn, to its end."""
    for _ in Reconciler().reconcile(USING):
        pass


def test_a_flushed_redis_is_rung_again(bell: ValkeyServer) -> None:
    ids = [aged(queued()) for _ in range(5)]
    bell.flushall()
    reconcile()
    assert rung(bell) == ids
    assert row(ids[0]).rung_at > later(-1)


def test_what_could_not_be_rung_is_rung_as_soon_as_redis_is_back(bell: ValkeyServer) -> None:
    bell.stop()
    job_id = queued()
    bell.start()
    broker.breaker.closed_again = 0
    reconcile()
    assert rung(bell) == [job_id]
    assert row(job_id).rung_at is not None


def test_a_queue_that_still_has_hints_is_left_alone(bell: ValkeyServer) -> None:
    ids = [aged(queued()) for _ in range(3)]
    before = [row(job_id).rung_at for job_id in ids]
    reconcile()
    assert broker.depths(["default"]) == {"default": 3}
    assert [row(job_id).rung_at for job_id in ids] == before


def test_a_job_that_was_rung_just_now_is_left_alone(bell: ValkeyServer) -> None:
    queued()
    bell.flushall()
    reconcile()
    assert rung(bell) == []


@pytest.mark.parametrize("state", [state for state in State if state != State.QUEUED])
def test_only_queued_jobs_are_rung_again(state: State, bell: ValkeyServer) -> None:
    job_id = aged(in_state(state))
    bell.flushall()
    reconcile()
    assert rung(bell) == []
    assert row(job_id).state == state


def test_a_held_job_is_not_rung(bell: ValkeyServer) -> None:
    job_id = queued()
    lifecycle.pause("default", by="ada", using=USING)
    given_on, token = running(queue="heavy")
    lifecycle.replace(given_on, token, using=USING)
    aged(job_id)
    aged(given_on)
    bell.flushall()
    reconcile()
    assert (rung(bell), rung(bell, "heavy")) == ([], [])


def test_a_hold_of_a_queue_that_is_not_paused_any_more_ends(bell: ValkeyServer) -> None:
    """It was enqueued while its queue was being resumed."""
    job_id = queued()
    Job.objects.update(hold=Hold.PAUSED)
    bell.flushall()
    reconcile()
    assert row(job_id).hold == Hold.NONE
    assert rung(bell) == [job_id]


def worker(*tasks: str, heartbeat: float = 0, stopped: bool = False) -> None:
    Worker.objects.create(
        id="w", name="w@here", pid=1, queues="default", concurrency=1, pool="prefork", tasks="\n".join(tasks),
        started_at=later(-99), heartbeat_at=later(-heartbeat), stopped_at=later(0) if stopped else None,
    )  # fmt: skip


def unknown(task: str = add.name) -> str:
    """A job that a worker without its task got."""
    job_id = str(add.app.send_task(task).id)
    lifecycle.hold_unknown(job_id, USING)
    return job_id


def test_a_worker_that_knows_the_task_ends_its_jobs_hold(bell: ValkeyServer) -> None:
    job_id = unknown()
    bell.flushall()
    worker(echo.name, add.name)
    reconcile()
    assert row(job_id).hold == Hold.NONE
    assert rung(bell) == [job_id]


@pytest.mark.parametrize("facts", [{"heartbeat": 9999}, {"stopped": True}], ids=["silent", "stopped"])
def test_a_worker_that_is_gone_knows_nothing(facts: dict[str, float]) -> None:
    job_id = unknown()
    worker(add.name, **facts)  # type: ignore[arg-type]
    reconcile()
    assert row(job_id).hold == Hold.UNKNOWN_TASK


def test_a_task_that_nobody_has_known_for_a_day_kills_its_jobs() -> None:
    job_id = aged(unknown("elsewhere.task"), conf().unknown_task_patience + 1)
    fresh = unknown("elsewhere.task")
    reconcile()
    assert (row(job_id).state, row(job_id).error) == (State.DEAD, "NotRegistered")
    assert "elsewhere.task" in row(job_id).message
    assert (row(fresh).state, row(fresh).hold) == (State.QUEUED, Hold.UNKNOWN_TASK)


@pytest.mark.parametrize("trouble", ["stop", "pause"], ids=["dead", "silent"])
def test_a_redis_that_is_gone_does_not_stop_the_reconciler(trouble: str, bell: ValkeyServer) -> None:
    job_id = aged(queued())
    getattr(bell, trouble)()
    reconcile()
    assert broker.breaker.open()
    assert row(job_id).state == State.QUEUED


def test_however_many_could_not_be_rung_are_rung_in_rounds(bell: ValkeyServer) -> None:
    with collecting():
        ids = [queued() for _ in range(2 * conf().batch + 5)]
    Job.objects.update(rung_at=None)
    bell.flushall()
    rounds = [step for step in Reconciler().reconcile(USING) if isinstance(step, int) and step]
    assert rounds == [conf().batch, conf().batch, 5]
    assert rung(bell) == ids


def test_a_job_that_nobody_can_ring_does_not_keep_the_others_from_being_rung(bell: ValkeyServer) -> None:
    unreadable, fine = queued(), queued()
    Job.objects.filter(id=unreadable).update(envelope="no envelope", rung_at=None)
    Job.objects.filter(id=fine).update(rung_at=None)
    bell.flushall()
    reconcile()
    assert rung(bell) == [fine]


def test_a_redis_that_has_just_forgotten_everything_is_rung_once(bell: ValkeyServer) -> None:
    """It is forgetful, and its lists are empty: that is one loss."""
    reconciler = Reconciler()
    list(reconciler.reconcile(USING))
    with collecting():
        ids = [queued() for _ in range(conf().batch + 5)]
    Job.objects.update(rung_at=later(-conf().reconcile_after - 1))
    bell.flushall()
    steps = reconciler.reconcile(USING)
    while next(steps) != conf().batch:
        pass
    list(reconciler.epoch.keep(USING))
    list(steps)
    list(reconciler.epoch.keep(USING))
    assert rung(bell) == ids


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite does not count what it reads")
def test_a_long_backlog_is_not_read_through(bell: ValkeyServer) -> None:
    """What a turn reads depends on how many lists there are, not on how many jobs wait in them, held or not."""
    with collecting():
        ids = [queued() for _ in range(3000)]
    Job.objects.update(rung_at=later(-3600))
    Job.objects.filter(id__in=ids[:1000]).update(hold=Hold.PAUSED)
    Queue.objects.filter(name="default").update(paused=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
    reconcile()  # the first clock of all leaves its mark
    with transaction.atomic():
        before = rows_read()
        reconcile()
        assert rows_read() - before < 500
    Queue.objects.filter(name="default").update(paused=False)


def rows_read() -> int:
    """Rows of jobs that this transaction has read, by scans and through indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'jobs_job'"
        )
        return int(cursor.fetchone()[0])
