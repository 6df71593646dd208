"""What people press on a schedule: pause, resume, run now, duplicate. Each is one transaction with its activity."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import router, transaction
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from jobs import activity
from jobs.errors import JobError
from jobs.ledger.publish import collecting
from jobs.lifecycle.moment import now
from jobs.models import SchedulePolicy, ScheduleTick
from jobs.policies import Outcome
from jobs.schedules.rows import UnknownSchedule, readable
from jobs.schedules.sending import send
from jobs.schedules.validation import Fault, ScheduleRefused, asked_once, hindrances

NO_NOTE = {"paused_at": None, "paused_by": "", "pause_reason": "", "resume_at": None}
#: What a duplicate does not take over: it is another row, has never run, and is not paused by anybody.
ITS_OWN = {"pk": None, "enabled": False, "last_run_at": None, "total_run_count": 0}
LONGEST_NAME = 200


@dataclass
class Pressed:
    """What a press did, by the names of the schedules."""

    done: list[str] = field(default_factory=list)
    #: They were so already: nothing changed, and nothing is recorded.
    unchanged: list[str] = field(default_factory=list)
    #: Name → the sentence why it would not tick.
    refused: dict[str, str] = field(default_factory=dict)


class NameTaken(JobError):
    """A name that another schedule has, or that is none."""

    def __init__(self, name: str) -> None:
        self.name = name
        taken = f"Another schedule is named {name!r}." if 0 < len(name) <= LONGEST_NAME else "That is no name."
        super().__init__(f"{taken} Give one of 1 to {LONGEST_NAME} characters that no other has.")


class ResumeInThePast(JobError):
    """The end of a pause has passed already."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        super().__init__(f"The pause would have ended already ({at.isoformat()}). Give a later time, or none.")


def pause(ids: Iterable[int], by: str, reason: str = "", resume_at: datetime | None = None) -> Pressed:
    """They no longer tick until somebody resumes them, or until `resume_at`. Those that are off already stay so.

    `last_run_at` is kept, though a save of a disabled row by django-celery-beat forgets it. Raises ResumeInThePast.
    """
    using = _database()
    with transaction.atomic(using=using):
        at, pressed = now(using), Pressed()
        if resume_at is not None and resume_at <= at:
            raise ResumeInThePast(resume_at)
        rows = _split(_locked(ids), True, pressed)
        _switch(rows, False, at)
        note = {"paused_at": at, "paused_by": by[:150], "pause_reason": reason[:500], "resume_at": resume_at}
        _write_notes([SchedulePolicy(schedule_id=row.pk, **note) for row in rows])
        until = {"until": resume_at.isoformat()} if resume_at else {}
        for row in rows:
            activity.record(by, "pause", "schedule", row.name, reason, using=using, **until)
    return pressed


def resume(ids: Iterable[int], by: str, reason: str = "", *, anyway: bool = False) -> Pressed:
    """They tick again from this moment on; ticks of the pause are not missed.

    One that would not tick (broken, ended) is refused and stays as it is, unless `anyway`.
    """
    using, live = _database(), asked_once()
    with transaction.atomic(using=using):
        at, pressed = now(using), Pressed()
        rows = _split(_locked(ids), False, pressed)
        if not anyway:
            pressed.refused = {row.name: said for row in rows if (said := _why_not(hindrances(row, live), row, at))}
        rows = [row for row in rows if row.name not in pressed.refused]
        pressed.done = [row.name for row in rows]
        _switch(rows, True, at)
        SchedulePolicy.objects.filter(pk__in=[row.pk for row in rows]).update(**NO_NOTE)
        for row in rows:
            activity.record(by, "resume", "schedule", row.name, reason, using=using)
    return pressed


def run_now(id: int, by: str, reason: str = "") -> str:
    """Enqueues its job once, now, enabled or not; the job's id. Its ticks stay as they are planned.

    Raises UnknownSchedule, ScheduleRefused.
    """
    using = _database()
    with transaction.atomic(using=using):
        row = _one(id)
        if found := hindrances(row):
            raise ScheduleRefused(row.name, found)
        at = now(using)
        if row.expires and row.expires <= at:
            row.expires = None  # the end of its ticks, not of what somebody wants now
        with collecting() as batch:
            posted = send(row, at, at)
        job_id = batch.posted.get(posted, posted)
        ScheduleTick.objects.create(schedule=row, at=at, decided_at=at, outcome=Outcome.RUN, job_id=job_id, by=by[:150])
        activity.record(by, "run", "schedule", row.name, reason, using=using, job=job_id)
    return job_id


def duplicate(id: int, by: str, name: str) -> PeriodicTask:
    """A disabled copy under another name, with the same policy. Raises UnknownSchedule, NameTaken."""
    using = _database()
    with transaction.atomic(using=using):
        row = _one(id)
        if not 0 < len(name) <= LONGEST_NAME or PeriodicTask.objects.filter(name=name).exists():
            raise NameTaken(name)
        policy, original = SchedulePolicy.objects.filter(pk=row.pk).first(), row.name
        copy = PeriodicTask(**{**_columns(row), **ITS_OWN, "name": name})
        copy.save()
        if policy:
            SchedulePolicy.objects.create(**{**_columns(policy), **NO_NOTE, "schedule_id": copy.pk})
        activity.record(by, "duplicate", "schedule", name, using=using, of=original)
    return copy


def _database() -> str:
    return str(router.db_for_write(PeriodicTask))


def _locked(ids: Iterable[int]) -> QuerySet[PeriodicTask]:
    """In one order, so that two presses can't block each other."""
    rows = PeriodicTask.objects.using(_database()).filter(pk__in=list(ids)).order_by("pk")
    return readable(rows).select_for_update(of=("self",))


def _one(id: int) -> PeriodicTask:
    row = _locked([id]).first()
    if row is None:
        raise UnknownSchedule(id)
    return row


def _split(rows: Iterable[PeriodicTask], enabled: bool, pressed: Pressed) -> list[PeriodicTask]:
    """Those that are switched so; the others are told as unchanged."""
    found = list(rows)
    pressed.unchanged = [row.name for row in found if row.enabled is not enabled]
    chosen = [row for row in found if row.enabled is enabled]
    pressed.done = [row.name for row in chosen]
    return chosen


def _switch(rows: Sequence[PeriodicTask], enabled: bool, at: datetime) -> None:
    """Past `save()`, which forgets `last_run_at` and refuses what is broken. Other readers are told as by a save."""
    if not rows:
        return
    keys = [row.pk for row in rows]
    PeriodicTask.objects.filter(pk__in=keys).update(enabled=enabled, date_changed=at)
    if enabled:  # a one-off schedule may run once more
        PeriodicTask.objects.filter(pk__in=keys, one_off=True).update(total_run_count=0)
    PeriodicTasks.update_changed()


def _write_notes(policies: list[SchedulePolicy]) -> None:
    SchedulePolicy.objects.bulk_create(
        policies, update_conflicts=True, unique_fields=["schedule"], update_fields=list(NO_NOTE)
    )


def _why_not(found: Sequence[Fault], row: PeriodicTask, at: datetime) -> str:
    """Why the schedule would not tick if it were enabled, or ""."""
    if found:
        return str(ScheduleRefused(row.name, found))
    if row.expires and row.expires <= at:
        return f"{row.name} ended at {row.expires.isoformat()}. Let it end later, and resume it then."
    return ""


def _columns(row: PeriodicTask | SchedulePolicy) -> dict[str, object]:
    return {column.attname: getattr(row, column.attname) for column in row._meta.concrete_fields}
