"""What people do: the move and its activity row are one, or neither."""

from dataclasses import replace

import pytest
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from jobs import activity, operations
from jobs.conf import conf
from jobs.errors import ArgumentsRefused, UnknownJob, UnknownQueue, UnknownTask, WrongState
from jobs.ledger import control
from jobs.lifecycle import queueing
from jobs.messages import arguments
from jobs.models import Activity, Job, Queue
from jobs.states import ENDED, REQUEUEABLE, WAITING, State
from jobs.tasks.send_email import send_email
from tests.support.moves import in_state, queued, row, rung, running, together
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def acts() -> list[tuple[str, str, str, str, str]]:
    return list(Activity.objects.order_by("id").values_list("by", "action", "kind", "key", "reason"))


# --- revoke ---


@pytest.mark.parametrize("state", WAITING)
def test_a_revoked_waiting_job_is_cancelled_and_celery_knows(state: State) -> None:
    job_id = in_state(state)
    done = operations.revoke([job_id], by="ada", reason="wrong month")
    assert done.cancelled == [job_id]
    assert row(job_id).state == State.CANCELLED
    assert acts() == [("ada", "revoke", "job", job_id, "wrong month")]
    with pytest.raises(TaskRevokedError):
        AsyncResult(job_id).get(timeout=2)


def test_a_revoked_running_job_runs_on_marked() -> None:
    job_id, _ = running()
    done = operations.revoke([job_id], by="ada")
    assert (done.requested, done.terminating) == ([job_id], [])
    assert (row(job_id).state, row(job_id).cancel_requested) == (State.RUNNING, True)
    assert len(acts()) == 1


def test_a_terminated_job_is_on_its_way_out() -> None:
    job_id, _ = running()
    done = operations.revoke([job_id], by="ada", terminate=True)
    assert (done.requested, done.terminating) == ([], [job_id])
    assert Activity.objects.get().facts == {"terminate": True}


def test_a_revoke_sorts_what_it_could_not_do() -> None:
    over, waits = in_state(State.SUCCEEDED), queued()
    done = operations.revoke([over, "unknown", waits], by="ada")
    assert (done.ended, done.unknown, done.cancelled) == ([over], ["unknown"], [waits])
    assert [key for _, _, _, key, _ in acts()] == [waits]


def test_a_second_revoke_says_that_the_job_has_ended() -> None:
    job_id = queued()
    operations.revoke([job_id], by="ada")
    assert operations.revoke([job_id], by="bob").ended == [job_id]
    assert len(acts()) == 1


# --- requeue ---


@pytest.mark.parametrize("state", REQUEUEABLE)
def test_a_requeue_is_recorded(state: State, bell: ValkeyServer) -> None:
    job_id = in_state(state)
    bell.flushall()
    assert operations.requeue([job_id], by="ada", reason="mended") == [job_id]
    assert acts() == [("ada", "requeue", "job", job_id, "mended")]
    assert rung(bell) == [job_id]


def test_a_second_click_does_nothing() -> None:
    job_id = in_state(State.DEAD)
    answers = together(*[lambda: operations.requeue([job_id], by="ada")] * 3)
    assert sorted(len(answer) for answer in answers if isinstance(answer, list)) == [0, 0, 1]
    assert len(acts()) == 1


def test_a_caller_with_a_record_of_its_own_gets_no_second_one() -> None:
    operations.requeue([in_state(State.DEAD)], by="ada", record=False)
    assert acts() == []


# --- requeue with changed arguments ---


def mail(**kwargs: str) -> str:
    """A dead mail."""
    job_id = str(send_email.apply_async(kwargs={"to": "a@example.com", "subject": "s", "body": "b", **kwargs}).id)
    operations.revoke([job_id], by="tests")
    Activity.objects.all().delete()
    return job_id


def test_a_changed_requeue_is_a_new_job_linked_to_the_old(bell: ValkeyServer) -> None:
    old = mail()
    bell.flushall()
    new = operations.requeue_changed(old, kwargs={"to": "b@example.com", "subject": "s", "body": "b"}, by="ada")
    job = row(new)
    assert new != old
    assert (job.state, job.requeued_from_id, job.root_job_id, job.queue) == (State.QUEUED, old, old, "emails")
    assert arguments(job.body)[1]["to"] == "b@example.com"
    assert row(old).state == State.CANCELLED
    assert rung(bell, "emails") == [new]
    assert [act[:4] for act in acts()] == [("ada", "requeue changed", "job", old)]


def test_a_job_is_replaced_once() -> None:
    """A second press, or a plain requeue after it, would do the work twice; once that one ended it may be mended."""
    old = mail()
    new = operations.requeue_changed(old, args=[], by="ada")
    with pytest.raises(WrongState, match="already requeued with changes"):
        operations.requeue_changed(old, args=[], by="ada")
    assert operations.requeue([old], by="ada") == []
    operations.revoke([new], by="ada")
    assert operations.requeue_changed(old, args=[], by="ada") != new


def test_of_two_who_press_at_once_one_replaces_it() -> None:
    old = mail()

    def press() -> str:
        try:
            return operations.requeue_changed(old, args=[], by="ada")
        except WrongState:
            return "refused"

    assert "refused" in together(press, press)
    assert Job.objects.filter(requeued_from_id=old).count() == 1


def test_what_is_not_given_is_kept() -> None:
    old = mail()
    new = operations.requeue_changed(old, args=[], by="ada")
    assert arguments(row(new).body) == ([], arguments(row(old).body)[1])


def test_changed_arguments_must_fit_the_task() -> None:
    old = mail()
    with pytest.raises(ArgumentsRefused, match="wrong"):
        operations.requeue_changed(old, kwargs={"wrong": 1}, by="ada")
    assert Job.objects.count() == 1
    assert acts() == []


@pytest.mark.parametrize("state", [state for state in State if state not in REQUEUEABLE])
def test_only_what_ended_badly_runs_again_changed(state: State) -> None:
    with pytest.raises(WrongState, match="can't be requeued"):
        operations.requeue_changed(in_state(state), args=[1, 2], by="ada")


def test_a_job_that_never_existed_is_told_so() -> None:
    with pytest.raises(UnknownJob):
        operations.requeue_changed("nobody", args=[], by="ada")


def test_a_task_that_is_gone_is_told_so() -> None:
    job_id = in_state(State.DEAD)
    Job.objects.update(task="gone.task")
    with pytest.raises(UnknownTask):
        operations.requeue_changed(job_id, args=[], by="ada")


# --- queues ---


def test_a_long_queue_is_resumed_and_purged_in_parts(bell: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement takes only so many parameters."""
    few = replace(conf(), batch=2)
    for module in (control, queueing):
        monkeypatch.setattr(module, "conf", lambda: few)
    ids = [queued() for _ in range(5)]
    operations.pause("default", by="ada")
    bell.flushall()
    assert operations.resume("default", by="ada") == 5
    assert sorted(rung(bell, "default")) == sorted(ids)
    assert operations.purge("default", by="ada") == 5


def test_a_pause_and_a_resume_are_recorded(bell: ValkeyServer) -> None:
    job_id = queued()
    operations.pause("default", by="ada", reason="deploy")
    assert Queue.objects.get(name="default").paused
    bell.flushall()
    assert operations.resume("default", by="bob") == 1
    assert rung(bell) == [job_id]
    assert [act[:4] for act in acts()] == [("ada", "pause", "queue", "default"), ("bob", "resume", "queue", "default")]


def test_a_second_pause_changes_nothing_and_is_not_recorded() -> None:
    assert operations.pause("default", by="ada", reason="deploy")
    assert not operations.pause("default", by="bob", reason="me too")
    queue = Queue.objects.get(name="default")
    assert (queue.paused, queue.paused_by, queue.pause_reason) == (True, "ada", "deploy")
    assert [act[:2] for act in acts()] == [("ada", "pause")]


def test_a_resume_of_a_queue_that_is_not_paused_is_not_recorded() -> None:
    assert operations.resume("default", by="ada") is None
    operations.pause("default", by="ada")
    assert together(*[lambda: operations.resume("default", by="bob")] * 3).count(None) == 2
    assert [act[:2] for act in acts()] == [("ada", "pause"), ("bob", "resume")]


def test_a_purge_cancels_what_is_queued_and_nothing_else() -> None:
    waits, later, other, runs = queued(), queued(countdown=60), queued(queue="heavy"), running()[0]
    assert operations.purge("default", by="ada") == 1
    states = [row(job_id).state for job_id in (waits, later, other, runs)]
    assert states == [State.CANCELLED, State.SCHEDULED, State.QUEUED, State.RUNNING]
    assert Activity.objects.get(action="purge").facts == {"cancelled": 1}


@pytest.mark.parametrize("verb", [operations.pause, operations.resume, operations.purge])
def test_an_undeclared_queue_is_refused(verb: object) -> None:
    with pytest.raises(UnknownQueue):
        verb("nowhere", by="ada")  # type: ignore[operator]
    assert acts() == []


# --- one transaction ---


def test_an_act_that_can_not_be_recorded_is_not_done(monkeypatch: pytest.MonkeyPatch, bell: ValkeyServer) -> None:
    waits, dead, ended = queued(), in_state(State.DEAD), mail()
    bell.flushall()
    monkeypatch.setattr(activity, "record", lambda *args, **kwargs: 1 / 0)
    for act in (
        lambda: operations.revoke([waits], by="ada"),
        lambda: operations.requeue([dead], by="ada"),
        lambda: operations.requeue_changed(ended, args=[], by="ada"),
        lambda: operations.pause("default", by="ada"),
        lambda: operations.purge("default", by="ada"),
    ):
        with pytest.raises(ZeroDivisionError):
            act()
    assert (row(waits).state, row(dead).state) == (State.QUEUED, State.DEAD)
    assert Job.objects.count() == 3
    assert not Queue.objects.filter(paused=True).exists()
    assert rung(bell) == []


def test_every_end_can_be_told_from_the_others() -> None:
    assert set(REQUEUEABLE) < set(ENDED)
