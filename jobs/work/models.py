"""What the built-in tasks keep: charges, contacts, records of the pipeline."""

from typing import ClassVar

from django.db import models


class Charge(models.Model):
    """One payment of an order. Its key goes to the gateway too, so an order is never charged twice."""

    class Status(models.TextChoices):
        STARTED = "started", "Started"  # asked for, answer not known: the next attempt asks the gateway first
        PAID = "paid", "Paid"

    key = models.CharField(max_length=255, unique=True)
    order_id = models.CharField(max_length=200)
    amount = models.DecimalField(max_digits=20, decimal_places=4)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.STARTED)
    gateway_id = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    paid_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.order_id}: {self.amount} {self.status}"


class Contact(models.Model):
    """A person as an outside source knows them; one row a source and id."""

    source = models.CharField(max_length=500)
    external_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255, blank=True, default="")
    email = models.CharField(max_length=255, blank=True, default="")
    #: The whole row as JSON text.
    row = models.TextField()
    synced_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["source", "external_id"], name="work_contact_once"),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class Record(models.Model):
    """A row that the chain fetch_data, transform_data, save_to_db brought in."""

    source = models.CharField(max_length=500)
    external_id = models.CharField(max_length=255)
    #: The row as JSON text.
    row = models.TextField()
    saved_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["source", "external_id"], name="work_record_once"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.external_id}"
