"""What the sandbox received, and which of its services fail on demand."""

from django.db import models


class SentMail(models.Model):
    """A mail that the mail API accepted."""

    #: The caller's Idempotency-Key; null: none was given.
    key = models.CharField(max_length=255, null=True, unique=True)
    to = models.TextField()
    subject = models.TextField()
    body = models.TextField()
    html = models.TextField(blank=True, default="")
    #: [{"name", "type", "content" (base64), "cid"}] as JSON text.
    attachments = models.TextField(default="[]")
    #: How often it was posted: more than once under one key is still one mail.
    deliveries = models.PositiveIntegerField(default=1)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.to}: {self.subject}"


class GatewayCharge(models.Model):
    """Money that the payment gateway took; once a key."""

    key = models.CharField(max_length=255, unique=True)
    order_id = models.CharField(max_length=255)
    amount = models.CharField(max_length=50)
    deliveries = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.order_id}: {self.amount}"


class Fault(models.Model):
    """How a service fails at the moment, switched by a person; no row: it is well."""

    class Service(models.TextChoices):
        MAIL = "mail", "Mail API"
        PAYMENTS = "payments", "Payment gateway"
        CRM = "crm", "CRM"

    class Mode(models.TextChoices):
        ERROR = "500", "answers 500"
        BUSY = "429", "answers 429"
        BAD = "400", "answers 400"
        SLOW = "slow", "answers after 3 s"
        TIMEOUT = "timeout", "does the work, answers after 40 s"
        LOST = "lost", "does the work, loses the answer (502)"

    service = models.CharField(max_length=10, choices=Service.choices, primary_key=True)
    mode = models.CharField(max_length=10, choices=Mode.choices)
    #: Calls that still fail; null: until switched off.
    calls_left = models.PositiveIntegerField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.service} {self.mode}"
