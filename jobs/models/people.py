"""People: what they did, the keys they hold, the answers they were given."""

from typing import Any, ClassVar

from django.db import models


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
