"""Workers: are they alive, and what do they do."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.conf import conf
from jobs.console.acting import ReadOnlyAdmin
from jobs.console.drawing import NONE, badge, both, moment, verbatim
from jobs.models import Job, Worker
from jobs.states import State


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "status", "queues", "slots", "pool", "heartbeat", "up_since")
    ordering = ("-heartbeat_at", "name")
    actions = None
    fields = (
        "name",
        "status",
        "pid",
        "queues",
        "slots",
        "pool",
        "up_since",
        "heartbeat",
        "stopped",
        "busy_with",
        "knows",
    )
    readonly_fields = fields

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> tuple[str]:
        return ("name",)

    @admin.display(description="state")
    def status(self, worker: Worker) -> SafeString:
        if worker.stopped_at:
            return badge("Stopped", "⊘")
        silent = timezone.now() - worker.heartbeat_at > timedelta(seconds=conf().silence)
        return badge("Silent", "✕", "bad") if silent else badge("Alive", "✓", "good")

    @admin.display(description="busy")
    def slots(self, worker: Worker) -> str:
        running = Job.objects.filter(state=State.RUNNING, worker_id=worker.pk).count()
        return f"{running} of {worker.concurrency}"

    @admin.display(description="heartbeat")
    def heartbeat(self, worker: Worker) -> SafeString | str:
        return moment(worker.heartbeat_at)

    @admin.display(description="started")
    def up_since(self, worker: Worker) -> SafeString | str:
        return moment(worker.started_at)

    @admin.display(description="stopped")
    def stopped(self, worker: Worker) -> SafeString | str:
        return both(worker.stopped_at)

    @admin.display(description="running now")
    def busy_with(self, worker: Worker) -> SafeString | str:
        running = Job.objects.light().filter(state=State.RUNNING, worker_id=worker.pk).order_by("started_at")[:50]
        lines = [(job.task, job.pk, moment(job.started_at)) for job in running]
        return format_html_join("", "<div>{} {} {}</div>", lines) or NONE

    @admin.display(description="tasks")
    def knows(self, worker: Worker) -> SafeString | str:
        return verbatim(worker.tasks)
