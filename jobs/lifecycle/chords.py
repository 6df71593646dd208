"""How many members of a chord's header have not ended yet: counted in the transaction in which a member ends."""

from collections.abc import Iterable
from typing import Any

from django.db.models import F
from django_celery_results.models import ChordCounter

from jobs.messages import loads
from jobs.models import Job


def create(group_id: str, members_json: str, size: int, using: str) -> None:
    """The counter of a new chord. Posted again with the same id: the members count afresh."""
    ChordCounter.objects.using(using).update_or_create(
        group_id=group_id, defaults={"sub_tasks": members_json, "count": size}
    )


def resize(group_id: str, size: int, using: str) -> None:
    """A header whose size is known only after its members were posted (a member chain that ends in a group)."""
    ChordCounter.objects.using(using).filter(group_id=group_id).update(count=size)


def count_down(group_id: str, using: str) -> ChordCounter | None:
    """One member has ended. The counter if that was the last one; its row stays locked until the commit."""
    counters = ChordCounter.objects.using(using)
    if not counters.filter(group_id=group_id, count__gt=0).update(count=F("count") - 1):
        return None
    return counters.filter(group_id=group_id, count=0).first()


def close(group_id: str, using: str) -> None:
    """The body has been enqueued; nothing is to be counted any more."""
    ChordCounter.objects.using(using).filter(group_id=group_id).delete()


def count_up(jobs: Iterable[Job], using: str) -> None:
    """Members that ended badly run again: they have yet to end."""
    for job in jobs:
        if chord_of(job):
            ChordCounter.objects.using(using).filter(group_id=job.group_id).update(count=F("count") + 1)


def chord_of(job: Job) -> Any:
    """The chord body that the job's end counts for, or None."""
    return loads(job.body)[2].get("chord") if job.group_id else None
