"""The spool: an outcome that can't be told to the database is kept on disk, and told once."""

import json
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, current_app
from django.db import OperationalError, connection
from django_celery_results.models import TaskResult

from dlq.models import DeadLetter
from jobs.conf import conf
from jobs.errors import DATABASE_DOWN
from jobs.ledger import current, execution, postponed, settle, spool
from jobs.models import Attempt, Job
from tests.plain_tasks import add, breakable, flaky, note, quiet, total
from tests.support.moves import deliver, queued, row

pytestmark = pytest.mark.django_db(transaction=True)


class Unpicklable(ValueError):
    """An error as users write them: what it takes is not what it keeps."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[None]:
    """A worker that waits for no database, and a spool of the test's own."""
    settings.DATA_DIR = tmp_path
    settings.JOBS = {**settings.JOBS, "PATIENCE": 0}
    conf.cache_clear()
    yield
    conf.cache_clear()


@contextmanager
def outage() -> Iterator[None]:
    """From the claim on, no statement reaches the database."""
    claim = execution._claim

    def refuse(*args: Any) -> Any:
        raise OperationalError("the server closed the connection unexpectedly")

    def claimed_and_gone(*args: Any) -> Any:
        claimed = claim(*args)
        wrapper.__enter__()
        return claimed

    wrapper = connection.execute_wrapper(refuse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "_claim", claimed_and_gone)
        try:
            yield
        finally:
            wrapper.__exit__(None, None, None)


def ended_in_outage(task: Any, job_id: str) -> Any:
    """The body ran, and nothing of its end could be written."""
    with outage():
        done = deliver(task, job_id)
    assert row(job_id).state == "running"
    assert spool.waiting() == 1
    return done


def tell() -> None:
    postponed.write_postponed()
    assert spool.waiting() == 0
    assert spool.unreadable() == []


def test_a_success_is_told_later_with_its_result() -> None:
    job_id = queued(2, 3)
    done = ended_in_outage(add, job_id)
    assert done.info is None, "the message is acknowledged: the outcome is safe"
    tell()
    assert row(job_id).state == "succeeded"
    assert TaskResult.objects.get(task_id=job_id).result == "5"


def test_a_death_is_told_later_with_its_letter_and_traceback() -> None:
    job_id = queued("broken", task=breakable)
    ended_in_outage(breakable, job_id)
    assert not DeadLetter.objects.exists()
    tell()
    assert row(job_id).state == "dead"
    assert DeadLetter.objects.get(job_id=job_id).error == "ConnectionError"
    assert "broken is broken" in Attempt.objects.get(job_id=job_id).traceback
    assert TaskResult.objects.get(task_id=job_id).status == "FAILURE"


def test_a_retry_is_told_later_with_its_message() -> None:
    job_id = queued("flaky", 1, 60, task=flaky)
    ended_in_outage(flaky, job_id)
    tell()
    job = row(job_id)
    assert (job.state, job.retries, job.attempt) == ("retrying", 1, 1)
    assert job.run_at is not None


def test_the_next_step_of_a_chain_is_enqueued_once_and_later() -> None:
    first = chain(add.s(1, 2), add.s(10)).delay().parent.id
    ended_in_outage(add, first)
    assert Job.objects.count() == 1
    tell()
    step = Job.objects.exclude(id=first).get()
    assert json.loads(step.body)[0] == [3, 10]


def test_a_chords_member_counts_once_and_later() -> None:
    body = chord([add.s(1, 1), add.s(2, 2)])(total.s())
    one, two = Job.objects.order_by("created_at").values_list("id", flat=True)
    deliver(add, one)
    ended_in_outage(add, two)
    tell()
    assert json.loads(row(body.id).body)[0] == [[2, 4]]


def test_a_job_without_a_result_is_told_later_too() -> None:
    job_id = queued("quiet", task=quiet)
    ended_in_outage(quiet, job_id)
    tell()
    assert row(job_id).state == "succeeded"


def test_what_was_told_twice_changes_nothing() -> None:
    job_id = queued("twice", task=note)
    ended_in_outage(note, job_id)
    [entry] = spool.directory().iterdir()
    content = entry.read_bytes()
    tell()
    before = row(job_id)
    entry.write_bytes(content)
    tell()
    assert row(job_id).finished_at == before.finished_at


def test_an_entry_stays_while_the_database_is_down() -> None:
    job_id = queued("stays", task=note)
    ended_in_outage(note, job_id)

    def refuse(*args: Any) -> Any:
        raise OperationalError("still down")

    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        spool.tell_all(DATABASE_DOWN)
    assert spool.waiting() == 1
    tell()
    assert row(job_id).state == "succeeded"


def test_the_parent_leaves_an_outcome_that_waits_in_the_spool_alone() -> None:
    job_id = queued("limit", task=note)
    ended_in_outage(note, job_id)
    held = settle.claim_of(row(job_id), "default")
    held.patient = False
    with current.active(held):
        current_app.backend.mark_as_failure(job_id, TimeoutError("the hard limit"))
    assert row(job_id).state == "running"
    tell()
    assert row(job_id).state == "succeeded"


def test_an_entry_whose_writer_still_waits_is_left_to_it() -> None:
    entry = spool.write(partial(os.getpid), "busy")
    assert entry is not None
    assert spool.tell_all(DATABASE_DOWN) == 0
    entry.leave()
    assert spool.tell_all(DATABASE_DOWN) == 1


@pytest.mark.parametrize("content", [b"", b"torn", b"0" * 64 + b"\n" + pickle.dumps(partial(os.getpid))])
def test_a_torn_or_foreign_file_is_set_aside_and_never_run(content: bytes) -> None:
    spool.directory().mkdir(parents=True)
    (spool.directory() / "foreign.entry").write_bytes(content)
    assert spool.tell_all(DATABASE_DOWN) == 0
    assert [path.name for path in spool.unreadable()] == ["foreign.unreadable"]
    assert spool.waiting() == 0


def test_a_full_spool_takes_nothing_and_the_process_waits_until_there_is_room(settings: Any) -> None:
    full, roomy = {**settings.JOBS, "PATIENCE": 0, "SPOOL_BYTES": 0}, settings.JOBS
    settings.JOBS = full
    conf.cache_clear()

    def make_room() -> None:
        assert spool.waiting() == 0
        settings.JOBS = roomy
        conf.cache_clear()

    room = threading.Timer(0.5, make_room)
    job_id = queued("full", task=note)
    room.start()
    ended_in_outage(note, job_id)
    tell()
    assert row(job_id).state == "succeeded"


def test_an_error_that_cant_be_pickled_is_kept_as_celery_keeps_it() -> None:
    entry = spool.write(partial(print, Unpicklable("one", "two")), "odd")
    assert entry is not None
    entry.leave()
    assert spool.tell_all(DATABASE_DOWN) == 1


def test_a_draft_that_a_killed_process_left_is_removed_after_a_day() -> None:
    spool.directory().mkdir(parents=True)
    old, fresh = (spool.directory() / f"{name}.draft" for name in ("old", "fresh"))
    for draft in (old, fresh):
        draft.write_bytes(b"half an en")
    os.utime(old, (0, 0))
    assert spool.tell_all(DATABASE_DOWN) == 0
    assert (old.exists(), fresh.exists()) == (False, True)


def test_only_this_user_may_read_it() -> None:
    assert spool.keep(partial(os.getpid))
    [entry] = spool.directory().iterdir()
    assert entry.stat().st_mode & 0o777 == 0o600
    assert spool.directory().stat().st_mode & 0o777 == 0o700


def test_much_to_tell_does_not_silence_a_worker(settings: Any) -> None:
    """Telling takes half a heartbeat at most: what is left is told after the next one."""
    jobs = [queued(str(n), task=note) for n in range(3)]
    for job_id in jobs:
        with outage():
            deliver(note, job_id)
    settings.JOBS = {**settings.JOBS, "HEARTBEAT": 0}
    conf.cache_clear()
    assert postponed.write_postponed() == 0
    assert spool.waiting() == 3
    settings.JOBS = {**settings.JOBS, "HEARTBEAT": 10}
    conf.cache_clear()
    assert postponed.write_postponed() == 3
    assert {row(job_id).state for job_id in jobs} == {"succeeded"}
