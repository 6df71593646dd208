"""The ledger: a job, its tags, its unsuccessful attempts, the effects that happen once."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from jobs.queries import JobQuerySet, unended
from jobs.states import Hold, Outcome, State


class Job(models.Model):
    """One request to run a task with its arguments. Written by `jobs.lifecycle` only."""

    id = models.CharField(primary_key=True, max_length=255)
    task = models.CharField(max_length=255)
    queue = models.CharField(max_length=100)
    #: As posted, 0 to 9, 9 first; null means 0.
    priority = models.SmallIntegerField(null=True)
    state = models.CharField(max_length=10, choices=State.choices)
    hold = models.CharField(max_length=12, choices=Hold.choices, default=Hold.NONE, blank=True)

    #: Claims so far (released ones given back), retries asked so far, deaths of its workers.
    attempt = models.PositiveIntegerField(default=0)
    retries = models.PositiveIntegerField(default=0)
    crashes = models.PositiveIntegerField(default=0)
    #: Attempts it may have: the task's retries + 1, one more for each requeue; null: no end.
    max_attempts = models.PositiveIntegerField(null=True)

    created_at = models.DateTimeField()
    run_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    #: While running: who holds it, the fence of the attempt, and until when.
    token = models.CharField(max_length=64, null=True)
    worker_id = models.CharField(max_length=36, null=True)
    worker = models.CharField(max_length=255, null=True)
    lease_until = models.DateTimeField(null=True)
    cancel_requested = models.BooleanField(default=False)

    #: The stored Celery message: [args, kwargs, embed] and {headers, properties, options}, as kombu's JSON text
    #: (jsonb would refuse NUL and NaN, which Celery accepts).
    body = models.TextField()
    envelope = models.TextField()
    ignore_result = models.BooleanField(default=False)

    #: Of the last attempt that ended badly: `ConnectionError`, and the first 500 characters it said.
    error = models.CharField(max_length=255, blank=True, default="")
    message = models.CharField(max_length=500, blank=True, default="")
    #: {"done": n, "total": n, "note": "..."} as JSON text.
    progress = models.TextField(null=True)

    #: Effects that this job asked for again and that were not done twice (`jobs.ledger.once`).
    duplicates_prevented = models.PositiveIntegerField(default=0, db_default=0)

    #: First id in its line of edited requeues: what outside services get as idempotency key.
    root_job_id = models.CharField(max_length=255)
    requeued_from_id = models.CharField(max_length=255, null=True)
    #: Celery's root, parent and group ids.
    canvas_id = models.CharField(max_length=255, null=True)
    parent_id = models.CharField(max_length=255, null=True)
    group_id = models.CharField(max_length=255, null=True)
    schedule = models.CharField(max_length=255, null=True)
    unique_key = models.CharField(max_length=255, null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("operate_job", "Can post, cancel and requeue jobs"),
            ("view_payload", "Can see arguments and results unredacted"),
            ("admin_jobs", "Can purge queues, delete, and manage tokens"),
            ("operate_schedule", "Can pause, resume and run schedules"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["task", "unique_key"],
                condition=Q(unique_key__isnull=False) & unended(),
                name="jobs_job_unique_key",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["run_at"], condition=Q(state__in=["scheduled", "retrying"]), name="jobs_job_due"),
            models.Index(fields=["queue", "created_at", "id"], condition=Q(state="queued"), name="jobs_job_line"),
            # What the reconciler asks every few seconds, however many jobs wait.
            models.Index(
                fields=["queue", "priority", "rung_at"], condition=Q(state="queued", hold=""), name="jobs_job_rung"
            ),
            models.Index(
                fields=["created_at", "id"], condition=Q(state="queued", hold="", rung_at=None), name="jobs_job_unrung"
            ),
            models.Index(
                fields=["hold", "queue", "created_at", "id"],
                condition=Q(state="queued") & ~Q(hold=""),
                name="jobs_job_held",
            ),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="jobs_job_lease"),
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False) & unended(), name="jobs_job_expiry"
            ),
            models.Index(fields=["created_at", "id"], name="jobs_job_newest"),
            models.Index(fields=["finished_at"], condition=Q(finished_at__isnull=False), name="jobs_job_finished"),
            # What a schedule's tick asks: whether the job of an earlier one has not ended.
            models.Index(
                fields=["schedule"], condition=Q(schedule__isnull=False) & unended(), name="jobs_job_schedule"
            ),
            models.Index(fields=["group_id"], condition=Q(group_id__isnull=False), name="jobs_job_group"),
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.id}] {self.state}"


class JobTag(models.Model):
    """A word a caller put on a job, to find it by."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="tags")
    tag = models.CharField(max_length=50)

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tag", "job"], name="jobs_jobtag_unique"),
        ]

    def __str__(self) -> str:
        return self.tag


class Attempt(models.Model):
    """One try that ended without success, with its traceback."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    worker = models.CharField(max_length=255, null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    error = models.CharField(max_length=255, blank=True, default="")
    message = models.TextField(blank=True, default="")
    traceback = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ("view",)
        ordering = ("job_id", "number", "id")

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_id}: {self.outcome}"


class Effect(models.Model):
    """Something that must happen once: its row commits with the effect itself (`jobs.ledger.once`)."""

    key = models.CharField(primary_key=True, max_length=255)
    #: The job that did it; null outside a worker.
    job_id = models.CharField(max_length=255, null=True)
    #: What the effect returned, as JSON text.
    value = models.TextField(default="null")
    made_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.key
