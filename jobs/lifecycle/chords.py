"""How many members of a chord's header have not ended yet: counted in the transaction in which a member ends."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from celery import states
from django.db import transaction
from django.db.models import F, Q
from django_celery_results.models import ChordCounter, TaskResult

from jobs.messages import loads
from jobs.models import Job

#: The size of a header that is still being drawn.
UNKNOWN = 1_000_000_000


def create(group_id: str, members_json: str, size: int, using: str) -> None:
    """The counter of a new chord. Posted again with the same id: the members count afresh."""
    ChordCounter.objects.using(using).update_or_create(
        group_id=group_id, defaults={"sub_tasks": members_json, "count": size}
    )


def create_open(group_id: str, using: str) -> None:
    """The counter of a chord whose header is still being drawn from a generator: its members tell themselves as they
    end, in a JSON object by their index; their number is told by `resize`."""
    create(group_id, "{}", UNKNOWN, using)


def resize(group_id: str, size: int, using: str) -> None:
    """A header whose size is known only while or after its members are posted."""
    counters = ChordCounter.objects.using(using).filter(group_id=group_id)
    if not counters.filter(count__gt=UNKNOWN // 2).update(count=F("count") - (UNKNOWN - size)):
        counters.update(count=size)


def join(group_id: str, member_json: str, using: str) -> None:
    """One more member, of which the caller's own transaction or job makes a row."""
    with transaction.atomic(using=using):
        for counter in ChordCounter.objects.using(using).select_for_update().filter(group_id=group_id):
            if not counter.sub_tasks.startswith("{"):
                counter.sub_tasks = json.dumps([*json.loads(counter.sub_tasks), json.loads(member_json)])
            counter.count += 1
            counter.save(update_fields=["sub_tasks", "count"], using=using)


def count_down(group_id: str, index: int | None, task_id: str, using: str) -> ChordCounter | None:
    """One member has ended. The counter if that was the last one; its row stays locked until the commit."""
    counters = ChordCounter.objects.using(using).filter(group_id=group_id)
    if not counters.filter(count__gt=0).update(count=F("count") - 1):
        return None
    counter = counters.filter(Q(count=0) | Q(sub_tasks__startswith="{")).first()
    if counter and counter.sub_tasks.startswith("{"):
        counter.sub_tasks = json.dumps({**json.loads(counter.sub_tasks), str(index): task_id})
        counter.save(update_fields=["sub_tasks"], using=using)
    return counter if counter and counter.count == 0 else None


def header_of(counter: ChordCounter, app: Any) -> Any:
    """The members' results, in their order."""
    if not counter.sub_tasks.startswith("{"):
        return counter.group_result(app=app)
    ended = sorted(json.loads(counter.sub_tasks).items(), key=lambda member: int(member[0]))
    return app.GroupResult(counter.group_id, [app.AsyncResult(task_id) for _, task_id in ended])


def close(group_id: str, using: str) -> None:
    """The body has been enqueued; nothing is to be counted any more."""
    ChordCounter.objects.using(using).filter(group_id=group_id).delete()


def count_up(jobs: Iterable[Job], using: str) -> None:
    """Members that ended badly run again: they have yet to end, and so has what a death ended with them."""
    counters = ChordCounter.objects.using(using)
    for job in jobs:
        steps = list(behind(job))
        groups = [step["options"].get("group_id") for step in steps if "chord" in step["options"]]
        for group_id in [*groups, *([job.group_id] if chord_of(job) else [])]:
            counters.filter(group_id=group_id).update(count=F("count") + 1)
        take_back([*steps, *([body] if (body := chord_of(job)) else [])], using)


def put_in_place(old_id: str, new_id: str, group_id: str | None, using: str) -> None:
    """Another job runs in the place of a member: its result is the one that the body gets."""
    for counter in ChordCounter.objects.using(using).select_for_update().filter(group_id=group_id):
        counter.sub_tasks = counter.sub_tasks.replace(json.dumps(old_id), json.dumps(new_id))
        counter.save(update_fields=["sub_tasks"], using=using)


def take_back(steps: Iterable[dict[str, Any]], using: str) -> None:
    """Forget the failures told of steps that were never posted: they are still to come."""
    ids = [step["options"].get("task_id") for step in steps]
    posted = Job.objects.using(using).filter(id__in=ids).values_list("id", flat=True)
    told = TaskResult.objects.using(using).filter(task_id__in=set(ids) - set(posted))
    told.filter(status__in=states.PROPAGATE_STATES).delete()


def behind(job: Job) -> Iterator[dict[str, Any]]:
    """The steps (signatures) that fail with this job: the rest of its chain, the bodies of chords among them."""
    steps = deque(loads(job.body)[2].get("chain") or ())
    while steps:
        step = steps.popleft()
        yield step
        if step.get("subtask_type") == "chord" and (body := step["kwargs"].get("body")):
            steps.append(body)


def chord_of(job: Job) -> Any:
    """The chord body that the job's end counts for, or None."""
    return loads(job.body)[2].get("chord") if job.group_id else None
