"""The record of a death."""

from typing import ClassVar

from django.db import models

from dlq.queries import DeadLetterQuerySet
from jobs.states import Reason


class DeadLetter(models.Model):
    """What died for good, why, and what a person did about it. Written by `dlq.lifecycle` only."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"  # a person requeues or discards it
        REQUEUED = "requeued", "Requeued"  # closed: its job got another attempt, or a changed successor
        DISCARDED = "discarded", "Discarded"  # closed: kept as a record only

    #: Plain text, not a foreign key: the record outlives its job (and an undecodable message has none).
    job_id = models.CharField(max_length=255, null=True, db_index=True)
    task = models.CharField(max_length=255)
    queue = models.CharField(max_length=100)
    #: [args, kwargs, embed] as kombu's JSON text, as the job had them.
    body = models.TextField(blank=True, default="")
    #: The bytes of an undecodable message as they lay in Redis; null for every other letter.
    raw = models.BinaryField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=15, choices=Reason.choices)
    error = models.CharField(max_length=255, blank=True, default="")
    message = models.TextField(blank=True, default="")
    traceback = models.TextField(blank=True, default="")
    #: Same task, same exception, same innermost line of own code: same cause.
    fingerprint = models.CharField(max_length=16, db_index=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=150, blank=True, default="")
    close_reason = models.CharField(max_length=500, blank=True, default="")
    #: The job that replaced this one, when it was requeued with changes.
    replaced_by_id = models.CharField(max_length=255, null=True)
    #: The record of the death before this one, of the same job or of the job it was requeued from.
    previous = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="next")

    objects = DeadLetterQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [("operate_deadletter", "Can requeue and discard dead letters")]
        ordering = ("-created_at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["job_id"], condition=models.Q(status="open"), name="dlq_one_open_letter_a_job"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["status", "-created_at", "-id"], name="dlq_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.task}: {self.error or self.reason}"
