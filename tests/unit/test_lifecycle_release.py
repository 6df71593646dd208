"""Release: a worker that goes gives the job back, and the attempt with it."""

import pytest

from jobs import lifecycle
from jobs.models import Attempt, QueueSlot
from jobs.states import State
from tests.plain_tasks import rejecting
from tests.support.moves import USING, deliver, queued, row, rung, running, take
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_released_job_is_queued_and_its_attempt_did_not_count(bell: ValkeyServer) -> None:
    job_id, token = running()
    assert lifecycle.release(job_id, token, using=USING)
    job = row(job_id)
    assert (job.state, job.attempt, job.started_at) == (State.QUEUED, 0, None)
    assert (job.token, job.worker_id, job.lease_until) == (None, None, None)
    assert not Attempt.objects.exists()
    assert take(job_id).attempt == 1


def test_a_release_rings_when_no_message_goes_back_by_itself(bell: ValkeyServer) -> None:
    job_id, token = running()
    bell.flushall()
    lifecycle.release(job_id, token, ring=True, using=USING)
    assert rung(bell) == [job_id]


def test_a_release_does_not_ring_when_the_message_goes_back(bell: ValkeyServer) -> None:
    job_id, token = running()
    bell.flushall()
    lifecycle.release(job_id, token, using=USING)
    assert rung(bell) == []
    assert row(job_id).rung_at is not None


def test_a_release_frees_the_slot_of_a_limited_queue() -> None:
    lifecycle.set_limits(USING)
    claimed = take(queued(queue="payments"), limited=True)
    assert QueueSlot.objects.count() == 1
    lifecycle.release(claimed.id, claimed.token, using=USING)
    assert not QueueSlot.objects.exists()


def test_reject_with_requeue_is_a_release() -> None:
    job_id = queued("rejected", 10**6, task=rejecting)
    done = deliver(rejecting, job_id)
    assert done.info.state == "REJECTED"
    assert (row(job_id).state, row(job_id).attempt) == (State.QUEUED, 0)
