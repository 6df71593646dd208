"""Wiring of the dead letters."""

from typing import Any

from django.apps import AppConfig


class DlqConfig(AppConfig):
    name = "dlq"
    verbose_name = "Dead letters"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from dlq import findings, lifecycle
        from jobs import retention
        from jobs.doctor import examination
        from jobs.signals import job_died, job_requeued, message_undecodable

        def on_died(*, deaths: Any, using: str, **_: Any) -> None:
            lifecycle.file(deaths, using=using)

        def on_requeued(
            *, job_ids: Any, replaced_by: Any, by: str = "", reason: str = "", using: str, **_: Any
        ) -> None:
            lifecycle.close_requeued(job_ids, replaced_by=replaced_by, by=by, reason=reason, using=using)

        def on_undecodable(*, raw: bytes, queue: str, error: str, message: str = "", using: str, **_: Any) -> None:
            lifecycle.file_undecodable(raw, queue=queue, error=error, message=message, using=using)

        job_died.connect(on_died, weak=False, dispatch_uid="dlq.file")
        job_requeued.connect(on_requeued, weak=False, dispatch_uid="dlq.close")
        message_undecodable.connect(on_undecodable, weak=False, dispatch_uid="dlq.undecodable")
        retention.pruners.append(lifecycle.prune)
        retention.keepers.append(lifecycle.unneeded)
        examination.BY_TABLE["letters"] = findings.examine
