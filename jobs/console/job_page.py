"""What the page of one job tells: what did it do, why did it fail, where does it come from."""

import json
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_celery_results.models import TaskResult

from jobs.console.acting import AnyAdmin
from jobs.console.arguments import pretty, shown_part, shown_text, shown_value
from jobs.console.drawing import NONE, both, moment, state, verbatim
from jobs.models import Attempt, Job
from jobs.spans import span
from jobs.states import Hold, State

#: Characters of its last error that a job keeps; its attempt keeps them all.
CUT = 500


class JobPage(AnyAdmin):
    """The facts of a job, as the list and the page show them."""

    fieldsets = (
        (
            None,
            {
                "fields": (
                    "state_badge",
                    "task",
                    "queue",
                    "priority",
                    "tries",
                    "duplicates",
                    "failure",
                    "lineage",
                    "tag_list",
                )
            },
        ),
        ("Times", {"fields": ("accepted", "due", "expires", "started", "ended", "took", "worker", "progress_line")}),
        ("Arguments", {"fields": ("positional", "keywords")}),
        ("Result", {"fields": ("result",)}),
    )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, unquote(object_id))
        context = {"attempts": _attempts(request, job), "title": f"Job {job.pk}", "subtitle": None} if job else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is not None:
            obj.request = request
        return tuple(name for _, part in self.fieldsets or () for name in part["fields"])  # type: ignore[misc]

    @admin.display(description="state")
    def state_badge(self, job: Job) -> SafeString:
        held = Hold(job.hold)
        why = format_html(' <span class="quiet">{}</span>', held.label) if held else ""
        if job.cancel_requested and job.state == State.RUNNING:
            why = format_html(' <span class="quiet">{}</span>', "Cancel requested")
        return format_html("{}{}", state(job.state), why)

    @admin.display(description="task")
    def named(self, job: Job) -> SafeString:
        return format_html('{}<br><span class="quiet id" title="{}">{}</span>', job.task, job.id, job.id)

    @admin.display(description="attempt")
    def tries(self, job: Job) -> str:
        return f"{job.attempt} of {job.max_attempts}" if job.max_attempts else str(job.attempt)

    @admin.display(description="duplicates prevented")
    def duplicates(self, job: Job) -> str:
        return str(job.duplicates_prevented or NONE)

    @admin.display(description="accepted")
    def age(self, job: Job) -> SafeString | str:
        return moment(job.created_at)

    @admin.display(description="duration")
    def took(self, job: Job) -> str:
        if job.started_at is None:
            return NONE
        return span((_end(job) or job.started_at) - job.started_at)

    @admin.display(description="error")
    def failure(self, job: Job) -> SafeString | str:
        if not job.error:
            return NONE
        if not hasattr(job, "request"):
            return job.error
        # Redacted whole, then cut: half a secret is none that could be found.
        said = shown_text(job.request, _whole_message(job), job.task, job.body)[:CUT]
        return format_html("<strong>{}</strong> {}", job.error, said)

    @admin.display(description="comes from")
    def lineage(self, job: Job) -> SafeString | str:
        known = (("requeued from", job.requeued_from_id), ("parent", job.parent_id), ("schedule", job.schedule))
        lines: list[tuple[str, str]] = [
            (word, key if word == "schedule" else self._link(key)) for word, key in known if key
        ]
        newer = Job.objects.filter(requeued_from_id=job.pk).values_list("pk", flat=True)[:10]
        lines += [("requeued as", self._link(key)) for key in newer]
        return format_html_join("", "<div>{} {}</div>", lines) or NONE

    @admin.display(description="tags")
    def tag_list(self, job: Job) -> str:
        return ", ".join(tag.tag for tag in job.tags.all()) or NONE

    @admin.display(description="accepted")
    def accepted(self, job: Job) -> SafeString | str:
        return both(job.created_at)

    @admin.display(description="due")
    def due(self, job: Job) -> SafeString | str:
        return both(job.run_at)

    @admin.display(description="expires")
    def expires(self, job: Job) -> SafeString | str:
        return both(job.expires_at)

    @admin.display(description="started")
    def started(self, job: Job) -> SafeString | str:
        return both(job.started_at)

    @admin.display(description="ended")
    def ended(self, job: Job) -> SafeString | str:
        return both(job.finished_at)

    @admin.display(description="progress")
    def progress_line(self, job: Any) -> str:
        said = shown_value(job.request, json.loads(job.progress) if job.progress else {}, job.task, job.body)
        if not isinstance(said, dict):
            return str(said)
        return f"{said.get('done')} of {said.get('total')} {said.get('note', '')}".strip() if said else NONE

    @admin.display(description="by position")
    def positional(self, job: Any) -> SafeString | str:
        return shown_part(job.request, job.task, job.body, 0)

    @admin.display(description="by name")
    def keywords(self, job: Any) -> SafeString | str:
        return shown_part(job.request, job.task, job.body, 1)

    @admin.display(description="returned")
    def result(self, job: Any) -> SafeString | str:
        if job.state != State.SUCCEEDED:
            return NONE
        text = TaskResult.objects.filter(task_id=job.pk).values_list("result", flat=True).first()
        if text is None:
            return "Not kept" if job.ignore_result else "Expired"
        return verbatim(pretty(shown_value(job.request, json.loads(text), job.task, job.body)))

    def _link(self, pk: str) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[quote(pk)]), pk)


def _attempts(request: HttpRequest, job: Job) -> list[dict[str, Any]]:
    return [
        {
            "number": attempt.number,
            "outcome": attempt.get_outcome_display(),
            "ended": moment(attempt.ended_at),
            "worker": attempt.worker,
            "error": attempt.error,
            "message": shown_text(request, attempt.message, job.task, job.body),
            "traceback": shown_text(request, attempt.traceback, job.task, job.body),
        }
        for attempt in Attempt.objects.filter(job_id=job.pk)
    ]


def _whole_message(job: Job) -> str:
    """What the last error said, also beyond what the job keeps of it."""
    last = Attempt.objects.filter(job_id=job.pk).last() if len(job.message) >= CUT else None
    return last.message if last and last.message.startswith(job.message) else job.message


def _end(job: Job) -> datetime | None:
    return timezone.now() if job.state == State.RUNNING else job.finished_at
