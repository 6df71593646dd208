"""Expire: a job that waited beyond its time never runs, and says so."""

import pytest
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from jobs import lifecycle
from jobs.ledger import control
from jobs.models import Job
from jobs.states import EXPIRE, Hold, State
from tests.support.moves import USING, in_state, later, queued, row, take, together

pytestmark = pytest.mark.django_db(transaction=True)


def overdue(state: State = State.QUEUED) -> str:
    job_id = in_state(state)
    Job.objects.filter(id=job_id).update(expires_at=later(-1))
    return job_id


@pytest.mark.parametrize("state", EXPIRE.sources)
def test_a_waiting_job_expires_at_its_time(state: State) -> None:
    job_id = overdue(state)
    assert [job.id for job in lifecycle.expire(using=USING)] == [job_id]
    assert (row(job_id).state, row(job_id).hold) == (State.EXPIRED, Hold.NONE)
    assert row(job_id).finished_at is not None


@pytest.mark.parametrize("state", [state for state in State if state not in EXPIRE.sources])
def test_no_other_job_expires(state: State) -> None:
    job_id = overdue(state)
    before = Job.objects.filter(id=job_id).values().get()
    assert lifecycle.expire(using=USING) == []
    assert Job.objects.filter(id=job_id).values().get() == before


def test_a_job_within_its_time_waits_on() -> None:
    job_id = queued(expires=60)
    assert lifecycle.expire(using=USING) == []
    assert row(job_id).state == State.QUEUED


def test_a_job_without_an_expiry_never_expires() -> None:
    job_id = queued()
    assert lifecycle.expire([job_id], using=USING) == []


def test_only_the_named_ones_expire() -> None:
    one, other = overdue(), overdue()
    assert [job.id for job in lifecycle.expire([one], using=USING)] == [one]
    assert row(other).state == State.QUEUED


def test_no_more_expire_at_once_than_asked() -> None:
    for _ in range(3):
        overdue()
    assert len(lifecycle.expire(limit=2, using=USING)) == 2
    assert len(lifecycle.expire(limit=2, using=USING)) == 1


def test_a_held_job_expires_too() -> None:
    job_id = overdue()
    Job.objects.filter(id=job_id).update(hold=Hold.PAUSED)
    lifecycle.expire(using=USING)
    assert (row(job_id).state, row(job_id).hold) == (State.EXPIRED, Hold.NONE)


def test_two_that_expire_the_same_jobs_tell_each_once() -> None:
    ids = [overdue() for _ in range(20)]
    answers = together(*[lambda: lifecycle.expire(using=USING)] * 3)
    told = [job.id for answer in answers if isinstance(answer, list) for job in answer]
    assert sorted(told) == sorted(ids)


def test_an_expired_job_is_claimed_by_nobody_and_celery_calls_it_revoked() -> None:
    job_id = overdue()
    lifecycle.expire(using=USING)
    take(job_id)
    assert row(job_id).state == State.EXPIRED
    assert AsyncResult(job_id).status == "REVOKED"
    with pytest.raises(TaskRevokedError, match="expired"):
        AsyncResult(job_id).get(timeout=2)


UNREADABLE = ["not json", "[1]", '[[{"__type__": "nonsense", "__value__": 1}], {}, {}]']


@pytest.mark.parametrize("body", UNREADABLE)
def test_one_that_cant_be_read_keeps_no_other_from_expiring(body: str) -> None:
    odd, other = overdue(), overdue()
    Job.objects.filter(id=odd).update(body=body)
    assert {job.id for job in control.expire(using=USING)} == {odd, other}
    assert row(odd).state == row(other).state == State.EXPIRED


@pytest.mark.parametrize("body", UNREADABLE)
def test_one_that_cant_be_read_keeps_no_other_from_being_cancelled(body: str) -> None:
    odd, other = queued(), queued()
    Job.objects.filter(id=odd).update(body=body)
    control.revoke([odd, other])
    assert row(odd).state == row(other).state == State.CANCELLED
