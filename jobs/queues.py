"""The queue table: every queue there is, with its concurrency and limits. A queue not in it is refused."""

from dataclasses import dataclass
from functools import cache

from django.conf import settings
from kombu import Queue


@dataclass(frozen=True)
class QueueSpec:
    """One queue as declared: what `make run` and compose start for it."""

    name: str
    concurrency: int
    #: Jobs of this queue that may run at once over all workers; None: as many as there are workers.
    limit: int | None = None
    #: Start in order of acceptance, one never overtaking another.
    in_order: bool = False
    memory_gb: int | None = None
    #: Has workers all the time; False: only while somebody starts some.
    served: bool = True


BUILT_IN = (
    QueueSpec("emails", 20),
    QueueSpec("heavy", 2, memory_gb=2),
    QueueSpec("payments", 1, limit=1, in_order=True),
    QueueSpec("default", 10),
)
#: Declared where `manage.py drill` is allowed, which brings workers of its own.
DRILL = QueueSpec("drill", 4, served=False)


@cache
def declared() -> dict[str, QueueSpec]:
    """Every declared queue by name: the built-in ones and those of JOBS_QUEUES (which may change a concurrency)."""
    table = {spec.name: spec for spec in (*BUILT_IN, *([DRILL] if settings.JOBS["ALLOW_DRILL"] else []))}
    for name, concurrency in settings.JOBS["QUEUES"].items():
        given = table.get(name, QueueSpec(name, concurrency))
        table[name] = QueueSpec(name, concurrency, given.limit, given.in_order, given.memory_gb, given.served)
    return table


def kombu_queues() -> list[Queue]:
    """The table as Celery wants it. The routing key is named, else kombu would lend every queue the default one."""
    return [Queue(name, routing_key=name) for name in declared()]
