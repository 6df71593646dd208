"""The machine in numbers, from the table: for GET /queues, the metrics and the commands."""

from datetime import timedelta
from typing import Any

from django.db import router
from django.db.models import Count, Min
from django.db.models.functions import Coalesce

from jobs.conf import conf
from jobs.lifecycle.moment import now
from jobs.models import Job, Queue, Worker
from jobs.queues import declared
from jobs.states import State


def queue_figures() -> list[dict[str, Any]]:
    """Every declared queue: depth, oldest wait (seconds), running, limit, workers, pause."""
    waiting, running, rows = _waiting(), _running(), Queue.objects.in_bulk()
    served = [worker.queues.split(",") for worker in workers_alive()]
    return [
        {
            **waiting.get(spec.name, {"depth": 0, "oldest_wait": None}),
            "name": spec.name,
            "running": running.get(spec.name, 0),
            "workers": sum(spec.name in names for names in served),
            **_kept(rows.get(spec.name) or Queue(name=spec.name, limit=spec.limit)),
        }
        for spec in declared().values()
    ]


def job_counts() -> list[tuple[str, str, int]]:
    """(state, queue, number) of the jobs kept."""
    rows = Job.objects.values_list("state", "queue").annotate(number=Count("id")).order_by("state", "queue")
    return [(state, queue, number) for state, queue, number in rows]


def workers_alive() -> list[Worker]:
    """The workers that have not stopped and were heard of in time."""
    heard = now(router.db_for_read(Worker)) - timedelta(seconds=conf().silence)
    return list(Worker.objects.filter(stopped_at=None, heartbeat_at__gt=heard))


def _waiting() -> dict[str, dict[str, Any]]:
    at = now(router.db_for_read(Job))
    line = Job.objects.waiting_in_line().order_by().values("queue")
    found = line.annotate(depth=Count("id"), first=Min(Coalesce("run_at", "created_at")))
    return {
        row["queue"]: {"depth": row["depth"], "oldest_wait": max(0.0, round((at - row["first"]).total_seconds(), 3))}
        for row in found
    }


def _running() -> dict[str, int]:
    rows = Job.objects.filter(state=State.RUNNING).order_by().values_list("queue").annotate(number=Count("id"))
    return dict(rows)


def _kept(queue: Queue) -> dict[str, Any]:
    """What operators set, kept in the database."""
    return {
        "limit": queue.limit,
        "paused": queue.paused,
        "paused_at": queue.paused_at,
        "paused_by": queue.paused_by,
        "pause_reason": queue.pause_reason,
    }
