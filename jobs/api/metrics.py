"""The figures as Prometheus text."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.db import router as databases
from django.http import HttpRequest, HttpResponse
from ninja import Router
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from jobs.api.callers import VIEW_QUEUES, Caller, May
from jobs.clock.leader import NAME
from jobs.conf import conf
from jobs.figures import job_counts, queue_figures, workers_alive
from jobs.lifecycle.moment import now
from jobs.models import Lease

router = Router(tags=["health"])

Sample = tuple[dict[str, str], float]
#: (name, what it says, samples): parts above this one add theirs.
sources: list[tuple[str, str, Callable[[], Iterable[Sample]]]] = []


class MayScrape(May):
    """The view scope, or anyone where METRICS_PUBLIC is set."""

    def __call__(self, request: HttpRequest) -> Caller | None:
        if settings.METRICS_PUBLIC:
            return Caller("anyone", "anyone", lambda permission: False)
        return super().__call__(request)


@router.get("/metrics", auth=MayScrape(VIEW_QUEUES), summary="Figures for Prometheus")
def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry()
    for name, says, samples in [*_own(), *((n, s, found()) for n, s, found in sources)]:
        _add(registry, f"stationmaster_{name}", says, list(samples))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _own() -> Iterable[tuple[str, str, Iterable[Sample]]]:
    queues = queue_figures()
    yield "jobs", "Jobs kept, by state and queue", [({"state": s, "queue": q}, n) for s, q, n in job_counts()]
    yield "queue_depth", "Queued jobs", [({"queue": q["name"]}, q["depth"]) for q in queues]
    yield (
        "queue_oldest_wait_seconds",
        "How long the first in line has waited",
        [({"queue": q["name"]}, q["oldest_wait"] or 0) for q in queues],
    )
    yield "queue_paused", "1 while the queue is paused", [({"queue": q["name"]}, int(q["paused"])) for q in queues]
    yield "queue_workers", "Live workers of the queue", [({"queue": q["name"]}, q["workers"]) for q in queues]
    yield "workers_alive", "Workers heard of in time", [({}, len(workers_alive()))]
    yield "beat_lease_age_seconds", "Since the leading beat renewed its lease", _lease_ages()


def _lease_ages() -> list[Sample]:
    at = now(databases.db_for_read(Lease))
    return [
        ({"lease": lease.name}, conf().leader_lease - (lease.until - at).total_seconds())
        for lease in Lease.objects.filter(name=NAME)
    ]


def _add(registry: CollectorRegistry, name: str, says: str, samples: list[Sample]) -> None:
    labels = list(samples[0][0]) if samples else []
    gauge: Any = Gauge(name, says, labels, registry=registry)
    for labelled, value in samples:
        (gauge.labels(**labelled) if labelled else gauge).set(value)
