"""What we keep beside a schedule of django-celery-beat: its policy, where it stands, its ticks, its unread edits.

No foreign key of ours is kept by the database: whoever deletes a schedule with SQL of his own is not refused. Beat
removes what is left of a deleted schedule.
"""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django_celery_beat.models import PeriodicTask

from jobs.policies import Missed, Outcome, Overlap, Why


class SchedulePolicy(models.Model):
    """How a schedule keeps its word. A schedule without a row has the defaults. Written by people (and the pause)."""

    schedule: Any = models.OneToOneField(
        PeriodicTask, on_delete=models.CASCADE, primary_key=True, related_name="policy", db_constraint=False
    )
    missed = models.CharField(max_length=10, choices=Missed.choices, default=Missed.ONCE)
    #: With `all`: how many of the missed ticks run, the last ones.
    missed_limit = models.PositiveIntegerField(default=10)
    #: Seconds after its time that a tick may still run; null: any (with `skip`: `conf().late_after`).
    max_lateness = models.PositiveIntegerField(null=True, blank=True)
    overlap = models.CharField(max_length=10, choices=Overlap.choices, default=Overlap.ALLOW)
    #: Each job starts up to so many seconds after its tick, spread evenly, the same for the same tick.
    jitter = models.PositiveIntegerField(default=0)
    #: So many deaths in a row pause the schedule; null: never.
    pause_after = models.PositiveIntegerField(null=True, blank=True)

    #: Of a schedule that is not enabled: who paused it, when, why, and until when (null: until a person resumes it).
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_reason = models.CharField(max_length=500, blank=True, default="")
    resume_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"policy of schedule {self.schedule_id}"


class ScheduleStanding(models.Model):
    """Where a schedule stands. Written by beat only; a tick's job and the move of this row are one transaction."""

    schedule: Any = models.OneToOneField(
        PeriodicTask, on_delete=models.CASCADE, primary_key=True, related_name="standing", db_constraint=False
    )
    #: As beat last read it: the name, and the timing as text (another one starts from the moment of the edit).
    name = models.CharField(max_length=200)
    timing = models.TextField(blank=True, default="")
    #: Intervals count from here.
    anchor = models.DateTimeField()
    #: Ticks up to here are settled.
    position = models.DateTimeField()
    #: Enabled since; null while it is not. Failures before it no longer count.
    armed_at = models.DateTimeField(null=True)
    #: Null: none will come (disabled, ended, broken).
    next_tick = models.DateTimeField(null=True)
    #: When beat must look at it again: the next tick, the end of a pause, another look at a broken row.
    wake_at = models.DateTimeField(null=True)
    #: The tick that waits for the running job to end (overlap).
    waiting_tick = models.DateTimeField(null=True)
    #: Why nobody can run it; "" for a sound one.
    broken = models.CharField(max_length=500, blank=True, default="")
    broken_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["wake_at"], condition=Q(wake_at__isnull=False), name="jobs_standing_wake"),
            models.Index(
                fields=["waiting_tick"], condition=Q(waiting_tick__isnull=False), name="jobs_standing_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: next {self.next_tick}"


class ScheduleTick(models.Model):
    """One planned time of a schedule and what became of it; or several that were skipped together."""

    schedule: Any = models.ForeignKey(
        PeriodicTask, on_delete=models.CASCADE, related_name="ticks", db_constraint=False, db_index=False
    )
    #: The planned time; of several the last one. Of a job that a person started by hand: that moment.
    at = models.DateTimeField()
    #: The first of several that were skipped together, and how many they are.
    first_at = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=1, db_default=1)
    #: When beat came to it.
    decided_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    why = models.CharField(max_length=12, choices=Why.choices, default="", db_default="", blank=True)
    #: The job that it enqueued, or that kept it from it. Jobs are pruned before ticks may be.
    job_id = models.CharField(max_length=255, null=True)
    #: The person who pressed *Run now*; "" for a tick.
    by = models.CharField(max_length=150, blank=True, default="", db_default="")

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["schedule", "at"], name="jobs_tick_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["decided_at"], name="jobs_tick_decided"),
            models.Index(fields=["job_id"], condition=Q(job_id__isnull=False), name="jobs_tick_job"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.at}: {self.outcome}"


class ScheduleEdit(models.Model):
    """An edit that beat has not read yet, whoever made it: triggers write it (`jobs.schedules.triggers`)."""

    class Kind(models.TextChoices):
        EDITED = "edited"
        ENABLED = "enabled"
        DELETED = "deleted"

    schedule_id = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.kind}"
