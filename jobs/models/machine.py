"""The machine: the queues, the workers, who leads among the beats."""

from typing import Any

from django.db import models


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
