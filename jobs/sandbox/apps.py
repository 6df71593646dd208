"""Wiring of the sandbox; installed in DEBUG only."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SandboxConfig(AppConfig):
    name = "jobs.sandbox"
    label = "sandbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs.sandbox.sample import put_sample

        post_migrate.connect(put_sample, sender=self, dispatch_uid="sandbox.sample")
