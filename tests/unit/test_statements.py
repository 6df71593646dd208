"""What a job costs in SQL statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import group
from django.db import connection

from jobs.models import Job
from jobs.states import State
from tests.plain_tasks import add, note
from tests.support.moves import deliver, queued, row

pytestmark = pytest.mark.django_db(transaction=True)

CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
ON_POSTGRES = connection.vendor == "postgresql"


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that Django sends meanwhile, transaction control left out."""
    seen: list[str] = []

    def note_it(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.lstrip().upper().startswith(CONTROL):
            seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note_it):
        yield seen


def test_a_success_costs_its_worker_two_statements_or_three() -> None:
    """Claim and settle are one statement each on PostgreSQL; elsewhere the settle is two in a transaction."""
    job_id = queued()
    with statements() as seen:
        deliver(add, job_id)
    assert row(job_id).state == State.SUCCEEDED
    assert len(seen) == (2 if ON_POSTGRES else 3), seen
    assert len(seen) <= 4


def test_the_first_statement_is_the_claim_and_no_select_comes_before_it() -> None:
    job_id = queued()
    with statements() as seen:
        deliver(add, job_id)
    assert seen[0].startswith("UPDATE jobs_job SET state = 'running'")
    assert not [sql for sql in seen if sql.lstrip().startswith("SELECT")]


def test_a_success_without_a_result_costs_two() -> None:
    job_id = queued("word", task=note, ignore_result=True)
    with statements() as seen:
        deliver(note, job_id)
    assert row(job_id).state == State.SUCCEEDED
    assert len(seen) == 2, seen


def test_a_hint_too_many_costs_two_and_writes_nothing() -> None:
    job_id = queued()
    deliver(add, job_id)
    with statements() as seen:
        deliver(add, job_id)
    assert len(seen) <= 2, seen
    assert not [sql for sql in seen if sql.startswith("INSERT")]


def test_an_enqueue_costs_one_insert() -> None:
    with statements() as seen:
        queued()
    assert len(seen) == 1, seen
    assert seen[0].startswith("INSERT INTO jobs_job")


def test_a_group_of_a_hundred_costs_one_insert() -> None:
    signature = group(add.s(i, i) for i in range(100))
    with statements() as seen:
        signature.apply_async()
    assert len(seen) == 1, seen
    assert Job.objects.count() == 100
