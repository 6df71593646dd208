"""Filters over the rows; no writes."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.states import DISPATCH, ENDED, EXPIRE, LIVE, Hold, State


class JobQuerySet(models.QuerySet[Any]):
    """Jobs by what may happen to them next."""

    def live(self) -> "JobQuerySet":
        return self.filter(state__in=LIVE)

    def ended(self) -> "JobQuerySet":
        return self.filter(state__in=ENDED)

    def due(self) -> "JobQuerySet":
        """Scheduled or retrying, and its time has come."""
        return self.filter(state__in=DISPATCH.sources, run_at__lte=Now())

    def overdue(self) -> "JobQuerySet":
        """Waiting beyond its expiry."""
        return self.filter(state__in=EXPIRE.sources, expires_at__lte=Now())

    def startable(self) -> "JobQuerySet":
        """Queued and not held: a worker may claim it."""
        return self.filter(state=State.QUEUED, hold=Hold.NONE)

    def waiting_in_line(self) -> "JobQuerySet":
        """Queued, with or without a hold that a queue lays on it (depth and oldest wait count these)."""
        return self.filter(state=State.QUEUED).exclude(hold=Hold.REPLACED)

    def light(self) -> "JobQuerySet":
        """Without the columns that can be large: for lists."""
        return self.defer("body", "envelope", "progress")


def unended(prefix: str = "") -> Q:
    """The condition of a job that has not ended."""
    return Q(**{f"{prefix}state__in": LIVE})
