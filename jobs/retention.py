"""What is pruned: ended jobs, expired results and the rest that only history needs. In short transactions."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from celery.states import READY_STATES
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import ChordCounter, GroupResult, TaskResult

from jobs.conf import conf
from jobs.models import Job, Replay, SchedulePolicy, ScheduleStanding, ScheduleTick, Worker
from jobs.policies import Outcome
from jobs.queries import JobQuerySet

#: An Idempotency-Key is remembered this long (api.md).
REPLAYS_KEPT = timedelta(hours=24)
#: A worker that stopped or fell silent is shown this long.
WORKERS_KEPT = timedelta(days=1)

#: Delete what a higher floor keeps as long as ended jobs; get the time before which all is old, return counts.
pruners: list[Callable[[datetime], dict[str, int]]] = []
#: Narrow the old jobs to those that may go (a dead job whose letter is open stays).
keepers: list[Callable[[JobQuerySet], JobQuerySet]] = []


def prune() -> dict[str, int]:
    """Deletes everything past its time; returns rows deleted by name."""
    before = timezone.now() - timedelta(days=conf().retention_days)
    counts: Counter[str] = Counter()
    # Letters first: a job whose letter is closed and gone may go in the same run.
    for pruner in pruners:
        counts.update(pruner(before))
    counts.update(_prune_jobs(before))
    counts.update(prune_results())
    counts.update(_prune_ticks(before))
    counts["workers"] = _delete(Worker.objects.filter(heartbeat_at__lt=timezone.now() - WORKERS_KEPT))
    counts["replays"] = _delete(Replay.objects.filter(created_at__lt=timezone.now() - REPLAYS_KEPT))
    return dict(counts)


def prune_results(seconds: float = math.inf) -> dict[str, int]:
    """Deletes results older than result_expires, but none that an open chord still waits for.

    It stops after so many seconds: the clock has more to do.
    """
    until = time.monotonic() + seconds
    before = timezone.now() - result_expires()
    chords = ChordCounter.objects.values("group_id")
    members = Job.objects.filter(group_id__in=chords).values("id")
    results = TaskResult.objects.filter(status__in=READY_STATES, date_done__lt=before)
    groups = GroupResult.objects.filter(date_done__lt=before)
    return {
        "results": _delete(results.exclude(task_id__in=members), until),
        "group_results": _delete(groups.exclude(group_id__in=chords), until),
    }


def _batches(rows: QuerySet[Any], until: float = math.inf) -> Iterator[list[Any]]:
    """Primary keys of the rows, some hundreds at a time, until none is left; the caller deletes what it is given."""
    while time.monotonic() < until and (keys := list(rows.order_by("pk").values_list("pk", flat=True)[: conf().batch])):
        yield keys


def _prune_jobs(before: datetime) -> dict[str, int]:
    """Ended jobs with their attempts and tags, and the chord counters whose last job goes with them."""
    counts = {"jobs": 0, "chords": 0}
    for ids in _batches(_old_jobs(before)):
        with transaction.atomic():
            # Locked and asked again: one of them may have been requeued meanwhile.
            ended = Job.objects.ended().filter(pk__in=ids, finished_at__lt=before).select_for_update()
            gone = dict(ended.values_list("pk", "group_id"))
            groups = set(gone.values()) - {None}
            counts["jobs"] += Job.objects.filter(pk__in=gone).delete()[1].get("jobs.Job", 0)
            groups -= set(Job.objects.filter(group_id__in=groups).values_list("group_id", flat=True))
            counts["chords"] += ChordCounter.objects.filter(group_id__in=groups).delete()[0]
    return counts


def _prune_ticks(before: datetime) -> dict[str, int]:
    """What became of old ticks, unless one still waits for its run; and all that is left of deleted schedules."""
    rows = PeriodicTask.objects.filter(pk=OuterRef("schedule_id"))
    old = ScheduleTick.objects.filter(decided_at__lt=before).exclude(outcome=Outcome.WAITS)
    left: list[Any] = [ScheduleTick, ScheduleStanding, SchedulePolicy]
    gone = sum(_delete(model.objects.filter(~Exists(rows))) for model in left)
    return {"ticks": _delete(old), "schedule leftovers": gone}


def _old_jobs(before: datetime) -> JobQuerySet:
    """Ended before then, kept by nobody, and not needed by an open chord whose other members stay."""
    old = Job.objects.ended().filter(finished_at__lt=before)
    for keeper in keepers:
        old = keeper(old)
    staying = Job.objects.filter(group_id=OuterRef("group_id")).exclude(pk__in=old.values("pk"))
    chords = ChordCounter.objects.filter(group_id=OuterRef("group_id"))
    return old.exclude(Exists(chords) & Exists(staying))


def _delete(rows: QuerySet[Any], until: float = math.inf) -> int:
    count = 0
    for keys in _batches(rows, until):
        count += rows.model._default_manager.filter(pk__in=keys).delete()[0]
    return count


def result_expires() -> timedelta:
    """How long a result is kept."""
    given = settings.CELERY_RESULT_EXPIRES
    return given if isinstance(given, timedelta) else timedelta(seconds=given)
