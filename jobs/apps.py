"""Wiring of the job ledger."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import register

        from jobs import busy, checks, lifecycle
        from jobs.schedules import builtin, guarding, triggers

        def install_schedules(*, using: str, **_: Any) -> None:
            if triggers.can_be_installed(using):
                triggers.install(using)
                builtin.install()

        def make_queue_rows(*, using: str, **_: Any) -> None:
            if "jobs_queue" in connections[using].introspection.table_names():
                lifecycle.set_limits(using)

        guarding.guard()
        connection_created.connect(busy.tell_of_locks, dispatch_uid="jobs.busy")
        post_migrate.connect(make_queue_rows, sender=self, weak=False, dispatch_uid="jobs.queues")
        post_migrate.connect(install_schedules, sender=self, weak=False, dispatch_uid="jobs.schedules")
        for check in checks.CHECKS:
            register(check, "jobs")
