"""The Celery app class: names the classes that cut Celery for the ledger (celery is pinned, each cut has its test)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from celery import Celery
from celery.utils.imports import instantiate
from django.apps import apps
from kombu.transport import TRANSPORT_ALIASES
from kombu.utils.imports import symbol_by_name
from kombu.utils.objects import cached_property

#: What tasks have that name no Request class of their own.
DEFAULT_REQUEST = "jobs.ledger.request:LedgerRequest"
# Connections to Redis are ours in every process that has this app.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "jobs.ledger.transport:LedgerTransport"))


class LedgerCelery(Celery):
    """Celery with the ledger under it. Parts are named as text: models can't be imported before Django is set up."""

    amqp_cls = "jobs.ledger.publish:LedgerAMQP"
    control_cls = "jobs.ledger.control:LedgerControl"
    task_cls = "jobs.ledger.execution:DurableTask"

    def finalize(self, auto: bool = False) -> None:
        set_django_up()
        super().finalize(auto=auto)

    @cached_property
    def amqp(self) -> Any:
        set_django_up()
        return instantiate(self.amqp_cls, app=self)

    @cached_property
    def control(self) -> Any:
        set_django_up()
        return instantiate(self.control_cls, app=self)

    def _connection(self, *args: Any, **kwargs: Any) -> Any:
        set_django_up()
        return super()._connection(*args, **kwargs)

    def _get_backend(self) -> Any:
        set_django_up()
        return super()._get_backend()

    def send_task(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Enqueue; with a unique key that a live job has, the result is that job's."""
        with self.amqp.collecting() as batch:
            result = super().send_task(name, *args, **kwargs)
        result.id = batch.posted.get(str(result.id), str(result.id))
        return result

    @contextmanager
    def producer_or_acquire(self, producer: Any = None) -> Iterator[Any]:
        """A group holds this around all its members: one INSERT and one pipeline for them.

        With a producer given from outside somebody else decides where the batch ends.
        """
        with super().producer_or_acquire(producer) as acquired:
            if producer is not None:
                yield acquired
                return
            with self.amqp.collecting():
                yield acquired

    def _task_from_fun(self, fun: Any, name: str | None = None, base: Any = None, **options: Any) -> Any:
        """Tasks with a base class of their own are durable too; the body gets what its type hints say."""
        if base is not None:
            base = self._durable(symbol_by_name(base) if isinstance(base, str) else base)
        task = super()._task_from_fun(fun, name=name, base=base, **options)
        task.read_arguments()
        if task.Request != DEFAULT_REQUEST:
            task.receive_durably()
        return task

    def register_task(self, task: Any, **options: Any) -> Any:
        """Class-based tasks are durable too."""
        task = task() if isinstance(task, type) else task
        task.__class__ = self._durable(task.__class__)
        task = super().register_task(task, **options)
        task.read_arguments()
        if task.Request != DEFAULT_REQUEST:
            task.receive_durably()
        return task

    def _durable(self, base: type) -> type:
        durable = symbol_by_name("jobs.ledger.execution:Durable")
        if issubclass(base, durable):
            return base
        return type(base.__name__, (durable, base), {"abstract": True, "__module__": base.__module__})


def set_django_up() -> None:
    """`celery call`, `celery inspect` and the like never set Django up; the ledger's models need it."""
    if not apps.ready and not apps.app_configs:
        django.setup()
