"""The rows: a job, its unsuccessful attempts, the queues, the workers, the lease of the leader, what people did."""

from typing import Any, ClassVar

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


class Queue(models.Model):
    """What operators changed about a declared queue, kept over restarts."""

    name = models.CharField(primary_key=True, max_length=100)
    paused = models.BooleanField(default=False)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_reason = models.CharField(max_length=500, blank=True, default="")
    #: Jobs that may run at once over all workers; null: no limit.
    limit = models.PositiveIntegerField(null=True, blank=True)
    in_order = models.BooleanField(default=False)

    class Meta:
        default_permissions = ("view",)
        permissions = [("operate_queue", "Can pause and resume queues")]
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class QueueSlot(models.Model):
    """One place of a limited queue; a running job of the queue stands in one. Taken in the claim's transaction."""

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="slots")
    job_id = models.CharField(max_length=255, unique=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.queue_id}: {self.job_id}"


class Worker(models.Model):
    """A process that claims; it writes its heartbeat here."""

    id = models.CharField(primary_key=True, max_length=36)
    name = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    queues = models.CharField(max_length=1000)
    concurrency = models.PositiveIntegerField()
    pool = models.CharField(max_length=100)
    #: Names of the tasks it knows, one a line.
    tasks = models.TextField(blank=True, default="")
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    #: What `doctor` asks of it: {"remap_sigterm": bool, "soft_shutdown": s, "skew": s of its clock to the database's}.
    facts: Any = models.JSONField(default=dict, blank=True)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class Lease(models.Model):
    """Who leads among the beats, until when (the database's clock); and, as "epoch", what Redis must remember."""

    name = models.CharField(primary_key=True, max_length=50)
    holder = models.CharField(max_length=255)
    until = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


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


class Activity(models.Model):
    """What a person did: who, what, to what, why. Append-only."""

    at = models.DateTimeField(db_index=True)
    by = models.CharField(max_length=150)
    action = models.CharField(max_length=50)
    #: The kind and key of what it was done to: "job", "dead letter", "queue", "schedule", "token".
    kind = models.CharField(max_length=50)
    key = models.CharField(max_length=255)
    reason = models.CharField(max_length=500, blank=True, default="")
    #: Further facts as JSON text (before and after, counts), without secrets.
    facts: Any = models.JSONField(default=dict, blank=True)

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "activity"
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.by} {self.action} {self.kind} {self.key}"


class Token(models.Model):
    """A key to the API: its hash, and the scope whose group's permissions it has."""

    class Scope(models.TextChoices):
        VIEW = "view"
        OPERATE = "operate"
        ADMIN = "admin"

    name = models.CharField(max_length=150, unique=True)
    hash = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class Replay(models.Model):
    """The first answer to an Idempotency-Key, kept for 24 h and given again to the same caller."""

    caller = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["caller", "key"], name="jobs_replay_once"),
        ]

    def __str__(self) -> str:
        return f"{self.caller} {self.key}"
