"""Queues: what is stuck, and who serves it; pause, resume, purge."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import operations
from jobs.console.acting import ActingAdmin, ReadOnlyAdmin, ReasonForm, WhyForm, answered, many, who, why
from jobs.console.drawing import NONE, badge, moment
from jobs.figures import queue_figures
from jobs.lifecycle import set_limits
from jobs.models import Queue
from jobs.queues import declared
from jobs.spans import span


class QueueList(ChangeList):
    """The rows with their figures."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        figures = {figure["name"]: figure for figure in queue_figures()}
        self.result_list = list(self.result_list)
        for queue in self.result_list:
            queue.figures = figures[queue.pk]


class PurgeForm(ReasonForm):
    """Why, and a second thought: the jobs are cancelled."""

    sure = forms.BooleanField(label="Cancel every waiting job of these queues")


@admin.register(Queue)
class QueueAdmin(ActingAdmin, ReadOnlyAdmin):
    action_form = WhyForm
    operate_permission = "jobs.operate_queue"
    list_display = ("name", "status", "depth", "oldest_wait", "running", "workers", "why_paused")
    actions = ("pause", "resume", "purge")
    buttons = ("pause", "resume", "purge")
    fields = ("name", "status", "why_paused", "depth", "oldest_wait", "running", "workers", "in_order")
    search_fields: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Queue]:
        return super().get_queryset(request).filter(pk__in=declared())

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QueueList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        set_limits(Queue.objects.db)
        return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Queue | None:
        queue = super().get_object(request, object_id, from_field)
        if queue:
            queue.figures = next(figure for figure in queue_figures() if figure["name"] == queue.pk)
        return queue

    def buttons_for(self, request: HttpRequest, obj: Queue) -> list[tuple[str, str]]:
        senseless = "pause" if obj.paused else "resume"
        words = {name: name.capitalize() for name, _ in super().buttons_for(request, obj) if name != senseless}
        return list(words.items())

    # --- pressing ---

    @admin.action(description="Pause selected queues", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Queue]) -> HttpResponse | None:
        names = self.selected(request, queryset)
        form = answered(request, ReasonForm)
        if not form.is_valid():
            return self.ask(request, form, f"Pause {many(len(names), 'queue')}", names, names)
        reason = form.cleaned_data["reason"]
        paused = [name for name in names if operations.pause(name, by=who(request), reason=reason)]
        self._say(request, names, paused, "Paused {}. Running jobs run on; the others wait.", "Already paused: {}.")
        return None

    @admin.action(description="Resume selected queues", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
        names = self.selected(request, queryset)
        resumed = [n for n in names if operations.resume(n, by=who(request), reason=why(request)) is not None]
        self._say(request, names, resumed, "Resumed {}.", "Not paused: {}.")

    @admin.action(description="Purge selected queues", permissions=["admin"])
    def purge(self, request: HttpRequest, queryset: QuerySet[Queue]) -> HttpResponse | None:
        names = self.selected(request, queryset)
        form = answered(request, PurgeForm)
        if not form.is_valid():
            return self.ask(request, form, f"Purge {many(len(names), 'queue')}", names, _with_depth(names))
        reason = form.cleaned_data["reason"]
        count = sum(operations.purge(name, by=who(request), reason=reason) for name in names)
        self.message_user(request, f"Cancelled {many(count, 'waiting job')} of {', '.join(names)}.", "success")
        return None

    def _say(self, request: HttpRequest, names: list[str], changed: list[str], done: str, idle: str) -> None:
        """What changed, and of which queues nothing did."""
        unchanged = [name for name in names if name not in changed]
        said = [words.format(", ".join(which)) for words, which in ((done, changed), (idle, unchanged)) if which]
        self.message_user(request, " ".join(said), "success" if changed else "warning")

    # --- showing ---

    @admin.display(description="state")
    def status(self, queue: Any) -> SafeString:
        if queue.paused:
            return badge("Paused", "‖", "warn")
        served = queue.figures["workers"] > 0
        return badge("Open", "✓", "good") if served else badge("No worker", "✕", "bad")

    @admin.display(description="waiting")
    def depth(self, queue: Any) -> str:
        return f"{queue.figures['depth']:,}"

    @admin.display(description="oldest wait")
    def oldest_wait(self, queue: Any) -> str:
        wait = queue.figures["oldest_wait"]
        return NONE if wait is None else span(wait)

    @admin.display(description="running")
    def running(self, queue: Any) -> str:
        limit = queue.figures["limit"]
        return f"{queue.figures['running']} of {limit}" if limit else str(queue.figures["running"])

    @admin.display(description="workers")
    def workers(self, queue: Any) -> str:
        return str(queue.figures["workers"])

    @admin.display(description="paused by")
    def why_paused(self, queue: Queue) -> SafeString | str:
        if not queue.paused:
            return NONE
        return format_html("{} {} {}", queue.paused_by, moment(queue.paused_at), queue.pause_reason)


def _with_depth(names: list[str]) -> list[str]:
    figures = {figure["name"]: figure for figure in queue_figures()}
    return [f"{name}: {many(figures[name]['depth'], 'waiting job')}" for name in names if name in figures]
