"""Jobs: where is it, what did it do, why did it fail; cancel, requeue, requeue with changes."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from jobs import operations
from jobs.console.acting import ReadOnlyAdmin, ReasonForm, answered, many, who, why
from jobs.console.arguments import ChangingAdmin, refuse_undecodable
from jobs.console.filters import QueueFilter, StateFilter, TaskFilter
from jobs.console.job_page import JobPage
from jobs.console.paging import CAP
from jobs.console.site import Figure
from jobs.models import Job, JobTag
from jobs.states import LIVE, REQUEUEABLE, State

#: What the two buttons of one job's page say, for the states that allow them.
PRESSES = {"requeue": REQUEUEABLE, "cancel": LIVE}


class CancelForm(ReasonForm):
    """Why, and whether running ones are stopped by force."""

    terminate = forms.BooleanField(
        required=False,
        label="Stop running ones now",
        help_text="Ends the process that runs them. Otherwise a running job goes on and is only marked.",
    )


@admin.register(Job)
class JobAdmin(JobPage, ChangingAdmin, ReadOnlyAdmin):
    list_display = ("state_badge", "named", "failure", "tries", "age", "took", "queue", "worker")
    list_display_links = ("named",)
    list_filter = (StateFilter, QueueFilter, TaskFilter)
    search_fields = ("id",)
    search_help_text = "A job's id; or a task, a tag or an error class, written in full"
    ordering = ("-created_at", "-id")
    actions = ("requeue", "cancel")
    buttons = ("requeue", "cancel")

    # --- finding ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).light()  # type: ignore[attr-defined, no-any-return]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        exact = queryset.filter(pk=term)
        if exact.exists():
            return exact, False
        tagged = JobTag.objects.filter(tag=term).values("job_id")
        return queryset.filter(Q(task=term) | Q(error=term) | Q(pk__in=tagged)), False

    # --- pressing ---

    def buttons_for(self, request: HttpRequest, obj: Job) -> list[tuple[str, str]]:
        pressable = super().buttons_for(request, obj)
        return [(name, name.capitalize()) for name, _ in pressable if obj.state in PRESSES[name]]

    def may_requeue(self, obj: Job) -> bool:
        return obj.state in REQUEUEABLE

    def requeue_changed(self, obj: Job, **said: Any) -> str:
        return operations.requeue_changed(obj.pk, **said)

    @admin.action(description="Requeue selected jobs", permissions=["operate"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        ids = self.selected(request, queryset)
        refuse_undecodable("job", Job.objects.filter(pk__in=ids).values_list("pk", "body").iterator())
        done = operations.requeue(ids, by=who(request), reason=why(request))
        left = f" {len(ids) - len(done)} not dead, cancelled or expired." if len(done) < len(ids) else ""
        self.message_user(request, f"Requeued {many(len(done), 'job')}.{left}", "success" if done else "warning")

    @admin.action(description="Cancel selected jobs", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        ids = self.selected(request, queryset)
        form = answered(request, CancelForm)
        if not form.is_valid():
            return self.ask(request, form, f"Cancel {many(len(ids), 'job')}", ids, _by_state(ids))
        done = operations.revoke(ids, by=who(request), **form.cleaned_data)
        self.message_user(request, _cancelled(done), "success" if len(done.ended) < len(ids) else "warning")
        return None


def figures(request: HttpRequest) -> Iterable[Figure]:
    """How many jobs wait, run, and retry."""
    if request.user.has_perm("jobs.view_job"):
        url = reverse("admin:jobs_job_changelist")
        for which in (State.QUEUED, State.RUNNING, State.RETRYING, State.SCHEDULED):
            count = Job.objects.filter(state=which)[: CAP + 1].count()
            yield Figure(str(which.label), f"{CAP:,}+" if count > CAP else f"{count:,}", f"{url}?state={which}")


def _by_state(ids: list[str]) -> list[str]:
    counts = Job.objects.filter(pk__in=ids).values_list("state").annotate(count=Count("pk")).order_by("state")
    return [f"{State(of).label}: {count}" for of, count in counts]


def _cancelled(done: Any) -> str:
    parts = (
        ("Cancelled {}.", len(done.cancelled)),
        ("Stopping {} that run.", len(done.terminating)),
        ("{} left running, cancel requested.", len(done.requested)),
        ("{} had already ended.", len(done.ended) + len(done.unknown)),
    )
    return " ".join(text.format(many(count, "job")) for text, count in parts if count)


admin.site.summarise(figures)  # type: ignore[attr-defined]
