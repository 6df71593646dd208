"""The epoch: a mark in Redis that only its memory keeps. Gone, or gone back: so are hints, and all are rung again.

The lease table's row "epoch" holds the mark that Redis should have, and `until`: what was rung before is lost, unless
it was rung again. Every leader reads it, so a new one neither rings everything anew nor misses what went on between.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import redis
from django.db.models import Q

from jobs import broker
from jobs.clock import rounds
from jobs.conf import conf
from jobs.lifecycle.moment import now
from jobs.models import Lease

logger = logging.getLogger(__name__)
NAME = "epoch"
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Epoch:
    """What this clock knows of it."""

    def __init__(self) -> None:
        #: The mark that it saw last, in Redis as in the row.
        self.mark: str | None = None
        #: What was rung before must be rung again; None: it was.
        self.lost_before: datetime | None = None
        self.move_on = 0.0

    def keep(self, using: str) -> Iterator[int]:
        """See whether Redis forgot; ring everything again if it did, a batch a step."""
        if broker.breaker.open():
            return
        try:
            self._compare(broker.epoch(), using)
        except (redis.RedisError, OSError) as error:
            broker.breaker.trip()
            logger.warning("Redis does not answer the clock: %s", error)
            return
        if self.lost_before is not None:
            yield from self._ring_all(self.lost_before, using)

    def _ring_all(self, before: datetime, using: str) -> Iterator[int]:
        rung = 0
        for some in rounds.ring(Q(rung_at__lt=before), using):
            rung += some
            yield some
        if rung:
            logger.warning("%d jobs were rung again that Redis had lost", rung)
        # Redis may have been lost again meanwhile.
        if not broker.breaker.open() and self.lost_before == before:
            self.lost_before = None

    def _compare(self, found: str | None, using: str) -> None:
        if found is None or found != self.mark:
            self._look_up(found, using)
        elif time.monotonic() >= self.move_on:
            self._write(found, following(found), using)

    def _look_up(self, found: str | None, using: str) -> None:
        """Redis does not say what this clock saw last. Another one may have led; the row knows."""
        row, _ = Lease.objects.using(using).get_or_create(name=NAME, defaults={"holder": "", "until": NEVER})
        if not row.holder:
            # The first clock there ever was: it knows of no loss.
            self._write(found, fresh(), using, since="")
        elif found is not None and is_at_least(found, row.holder):
            self._write(found, following(found), using, since=row.holder)
        else:
            logger.warning("Redis has lost its memory, or part of it: every waiting job is rung again")
            self._write(found, fresh(), using, since=row.holder, lost=True)
            return
        if self.lost_before is None and row.until > NEVER:
            self.lost_before = row.until

    def _write(self, found: str | None, mark: str, using: str, *, since: str | None = None, lost: bool = False) -> None:
        """Set the mark in Redis, then in the row: what is lost before is told by `until`, what is lost after by Redis.

        A leader that was overtaken writes neither.
        """
        if not broker.set_epoch(found, mark):
            return
        facts = {"until": now(using)} if lost else {}
        row = Lease.objects.using(using).filter(name=NAME, holder=self.mark if since is None else since)
        if row.update(holder=mark, **facts):
            self.mark, self.move_on = mark, time.monotonic() + conf().reconcile_every
            self.lost_before = facts.get("until", self.lost_before)


def fresh() -> str:
    """A mark that no Redis has had."""
    return f"{uuid.uuid4().hex}:0"


def following(mark: str) -> str:
    """The mark moves on all the time, so that an older copy of Redis (a snapshot, a replica) is told from this one."""
    name, _, step = mark.partition(":")
    return f"{name}:{int(step) + 1}"


def is_at_least(mark: str, other: str) -> bool:
    """Whether it is this mark, or one that a leader set and could not write down any more."""
    name, _, step = mark.partition(":")
    known, _, reached = other.partition(":")
    return name == known and step.isdecimal() and reached.isdecimal() and int(step) >= int(reached)
