"""Canaries: what finds lost hints in a list that never gets empty.

A list in Redis is first in, first out. A canary that is put into it at T is popped after every hint that was put in
before; a job that was rung before T and that nobody has claimed by then has lost its hint. No age says so: in a long
healthy backlog the oldest job may have been rung yesterday.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django.db.models import Q
from django.db.models.functions import Now

from jobs import broker
from jobs.broker import Line
from jobs.clock import rounds
from jobs.conf import conf
from jobs.lifecycle.moment import now
from jobs.models import Job
from jobs.queries import JobQuerySet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Return:
    """A canary came through: its stamp (the database's clock), and when that was noticed (this process' clock)."""

    stamp: int
    noticed: float


class Canaries:
    """One in each list whose jobs have waited for a while; in a queue that nobody reads it stays the only one."""

    def __init__(self) -> None:
        self.returned: dict[str, Return] = {}

    def find_lost(self, using: str) -> Iterator[int]:
        """Ring jobs again whose hint is lost, a batch a step, and send the next canaries."""
        waiting = _waiting(using)
        if not waiting or broker.breaker.open():
            return
        try:
            lines = broker.look(list(waiting))
            self._send(lines, _micros(now(using)))
        except (redis.RedisError, OSError) as error:
            broker.breaker.trip()
            logger.warning("Redis does not answer the reconciler: %s", error)
            return
        for name, line in lines.items():
            yield from rounds.ring(waiting[name] & self._lost(name, line), using)

    def _send(self, lines: dict[str, Line], at: int) -> None:
        """The next one goes when the last one is out of its list, popped or lost."""
        for name, line in lines.items():
            if line.hints and not line.probed and at - line.sent >= conf().canary_every * 1_000_000:
                broker.send_canary(name, at)

    def _lost(self, name: str, line: Line) -> Q:
        """Which jobs of this line have lost their hints for sure."""
        if not line.hints:
            return _rung_before(conf().reconcile_after)
        if 0 < line.seen <= line.sent and self.returned.get(name, Return(0, 0)).stamp != line.seen:
            self.returned[name] = Return(line.seen, time.monotonic())
        back = self.returned.get(name)
        # A hint that was popped just before the canary gets a moment to be claimed.
        if back is None or time.monotonic() - back.noticed < conf().reconcile_every / 2:
            return NONE
        # `rung_at` is a little earlier than the ring.
        sent = datetime.fromtimestamp(back.stamp / 1_000_000, UTC)
        return Q(rung_at__lt=sent - timedelta(seconds=conf().reconcile_after / 2))


NONE = Q(pk__in=[])


def _rung_before(seconds: float) -> Q:
    return Q(rung_at__lt=Now() - timedelta(seconds=seconds))


def _waiting(using: str) -> dict[str, Q]:
    """The lists in Redis of jobs that were rung a while ago and that a worker could have claimed since.

    Found by leaps through an index (`jobs_job_rung`): in front of a million waiting jobs it takes as long as of ten.
    """
    waiting, found = Job.objects.using(using).startable(), dict[str, Q]()
    for queue in _leaps(waiting, "queue"):
        line = waiting.filter(queue=queue)
        for priority in (None, *_leaps(line, "priority")):
            old = line.filter(_rung_before(conf().reconcile_after), priority=priority).order_by("priority", "rung_at")
            if old.values_list("id").first():
                found[broker.list_of(queue, priority)] = _line(queue, priority or 0)
    return found


def _leaps(rows: JobQuerySet, column: str) -> Iterator[Any]:
    """The values of this column, each once: the least, then the least above it, and so on."""
    values = rows.order_by(column).values_list(column, flat=True)
    value = values.filter(**{f"{column}__isnull": False}).first()
    while value is not None:
        yield value
        value = values.filter(**{f"{column}__gt": value}).first()


def _line(queue: str, priority: int) -> Q:
    return Q(queue=queue, priority=priority) if priority else Q(queue=queue) & (Q(priority=0) | Q(priority=None))


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
