"""The places where Celery is cut for the ledger: a new Celery that moves one of them fails here, by name."""

import inspect
from typing import Any

import celery
import pytest
from celery import chain, current_app
from celery.app import trace
from celery.app.amqp import AMQP
from celery.app.trace import build_tracer
from celery.concurrency import prefork
from celery.concurrency.solo import TaskPool
from celery.worker import consumer
from celery.worker.consumer import Consumer
from celery.worker.request import Request, create_request_cls
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_results.models import TaskResult
from kombu import Connection
from kombu.transport.redis import Channel

from jobs.ledger.transport import LedgerChannel, LedgerTransport
from jobs.models import Job
from tests.plain_tasks import add, fail, flaky, ignoring, logged, quiet
from tests.support.valkey import ValkeyServer


def deliver(task: Any, id: str) -> Any:
    """What a worker's child does with a message of this job: the tracer that Celery sets, called as it calls it."""
    task.__trace__ = build_tracer(task.name, task, current_app.loader, "hooks@test", app=current_app)
    message = {"id": id, "task": task.name, "hostname": "hooks@test", "delivery_info": {"routing_key": "default"}}
    return task.__trace__(id, (), {}, message)


def test_celery_is_the_version_whose_private_names_are_known() -> None:
    assert celery.__version__.startswith("5.7.")


def test_the_private_names_are_where_they_were() -> None:
    assert callable(AMQP._create_task_sender)
    assert callable(AMQP._retry_publish)
    assert callable(Channel._brpop_read)
    assert "_retry_publish" in inspect.getsource(trace.build_tracer)
    for module in (prefork, consumer.consumer):
        assert "task.__trace__ = " in inspect.getsource(module)


@pytest.mark.parametrize("name", ["on_decode_error", "on_unknown_message", "on_unknown_task"])
def test_the_consumer_still_asks_for_poison(name: str) -> None:
    assert callable(getattr(Consumer, name))


@pytest.mark.parametrize("name", "__init__ on_failure on_timeout cancel on_accepted terminate revoked".split())
def test_what_the_ledger_overrides_of_a_request_survives_celerys_fast_subclass(name: str) -> None:
    assert callable(getattr(Request, name))
    assert name not in vars(create_request_cls(Request, add, TaskPool(1), "here", None))


@pytest.mark.django_db(transaction=True)
def test_every_publish_goes_through_the_ledgers_sender(bell: ValkeyServer) -> None:
    id = current_app.send_task("tests.plain_tasks.add", (1, 2)).id
    assert Job.objects.get(id=id).state == "queued"


@pytest.mark.django_db(transaction=True)
def test_the_claim_is_made_by_the_tracer_that_the_worker_sets() -> None:
    id = add.delay(1, 2).id
    deliver(add, id)
    assert Job.objects.get(id=id).state == "succeeded"
    assert TaskResult.objects.get(task_id=id).result == "3"


@pytest.mark.django_db(transaction=True)
def test_a_second_delivery_is_dropped_before_anything_of_celery_runs() -> None:
    id = add.delay(1, 2).id
    deliver(add, id)
    with CaptureQueriesContext(connection) as queries:
        again = deliver(add, id)
    assert again.info.state == "IGNORED"
    assert all(not query["sql"].startswith("INSERT") for query in queries)
    assert Job.objects.get(id=id).attempt == 1


@pytest.mark.django_db(transaction=True)
def test_a_message_alone_runs_nothing() -> None:
    assert deliver(add, "forged").info.state == "IGNORED"
    assert not Job.objects.exists()
    assert not TaskResult.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_next_step_is_enqueued_by_the_settle() -> None:
    last = chain(add.s(1, 2), add.s(10)).apply_async()
    deliver(add, last.parent.id)
    step = Job.objects.get(id=last.id)
    assert (step.state, step.parent_id) == ("queued", last.parent.id)


@pytest.mark.django_db(transaction=True)
def test_a_retry_is_a_move_of_the_same_row() -> None:
    id = flaky.delay("hooks", 1, 60).id
    deliver(flaky, id)
    job = Job.objects.get()
    assert (job.id, job.state, job.retries) == (id, "retrying", 1)
    assert job.run_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("task", "args", "state"),
    [
        (fail, ("no",), "dead"),
        (ignoring, ("ignored",), "succeeded"),
        (quiet, ("quiet",), "succeeded"),
        (logged, ("x",), "succeeded"),
    ],
    ids=["fail", "ignore", "ignore_result", "own class"],
)
def test_every_end_of_a_body_settles_its_row(task: Any, args: tuple[Any, ...], state: str) -> None:
    id = task.delay(*args).id
    deliver(task, id)
    assert Job.objects.get(id=id).state == state


@pytest.mark.django_db(transaction=True)
def test_a_success_costs_the_worker_two_statements_or_a_short_transaction() -> None:
    """Claim and settle: one statement each on PostgreSQL; elsewhere the settle is BEGIN, two, COMMIT."""
    id = add.delay(1, 2).id
    with CaptureQueriesContext(connection) as queries:
        deliver(add, id)
    assert len(queries) == (2 if connection.vendor == "postgresql" else 5), [query["sql"] for query in queries]


def test_connections_to_redis_are_ours(bell: ValkeyServer) -> None:
    for url in (bell.url, bell.url.replace("redis:", "rediss:")):
        transport = Connection(url).get_transport_cls()
        assert transport is LedgerTransport
        assert transport.Channel is LedgerChannel


def test_the_channel_is_read_as_it_was() -> None:
    source = inspect.getsource(Channel._brpop_read)
    for line in ("parse_response(self.client.connection,", "_queue_cycle.rotate(dest)", "_in_poll = None", "_deliver("):
        assert line in source
    assert "if not self.ack_emulation" in inspect.getsource(Channel.__init__)


@pytest.mark.django_db(transaction=True)
def test_a_popped_message_is_not_registered_in_redis(bell: ValkeyServer) -> None:
    with current_app.connection_for_read() as opened:
        queue = opened.SimpleQueue("default")
        add.delay(1, 2)
        message = queue.get(timeout=5)
        with bell.client() as client:
            assert [key for key in client.scan_iter("*") if "unacked" in key] == []
        message.reject(requeue=True)
        again = queue.get(timeout=5)
        assert again.headers["id"] == message.headers["id"]
        assert again.headers["redelivered"] is True
        again.ack()


def test_celery_still_asks_the_consumer_to_connect() -> None:
    source = inspect.getsource(Consumer.ensure_connected)
    assert "conn.ensure_connection(" in source
    assert "callback=maybe_shutdown" in source
    for name in ("interval_start", "interval_step", "interval_max", "callback"):
        assert name in inspect.signature(Connection._ensure_connection).parameters
