"""Dead letters: what died for good, why, and what a person may do about it."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dlq import lifecycle
from dlq.answers import seen_message, seen_raw
from dlq.models import DeadLetter
from jobs.console.acting import ReadOnlyAdmin, ReasonForm, answered, many, who, why
from jobs.console.arguments import ChangingAdmin, refuse_undecodable, sees_all, shown_part, shown_text
from jobs.console.drawing import NONE, badge, both, moment, verbatim
from jobs.console.filters import QueueFilter, StaticFilter, TaskFilter
from jobs.console.paging import CAP
from jobs.console.site import Figure
from jobs.states import Reason

Status = DeadLetter.Status
LOOKS = {Status.OPEN: ("✕", "bad"), Status.REQUEUED: ("↻", "busy"), Status.DISCARDED: ("⊘", "")}
#: Bytes of an undecodable message that its page shows.
RAW_DRAWN = 16 * 1024


class StatusFilter(StaticFilter):
    """Open ones, unless another status is asked for."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Status.choices, ("all", "All")]

    def value(self) -> str:
        return super().value() or Status.OPEN

    def choices(self, changelist: Any) -> Iterator[Any]:
        # Django's own first choice, "All", would mean open here.
        yield from list(super().choices(changelist))[1:]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() == "all" else queryset.filter(status=self.value())


class ReasonFilter(StaticFilter):
    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Reason.choices)


@admin.register(DeadLetter)
class DeadLetterAdmin(ChangingAdmin, ReadOnlyAdmin):
    operate_permission = "dlq.operate_deadletter"
    list_display = ("number", "status_badge", "task", "what", "died", "reason_words", "attempts", "queue")
    list_filter = (StatusFilter, ReasonFilter, QueueFilter, TaskFilter)
    search_fields = ("job_id",)
    search_help_text = "A job's id, a task, an error class or a fingerprint, written in full"
    actions = ("requeue", "discard")
    buttons = ("requeue", "discard")
    fieldsets = (
        (None, {"fields": ("status_badge", "task", "what", "reason_words", "attempts", "queue", "job", "fingerprint")}),
        ("Times", {"fields": ("died_at", "closed", "before", "after")}),
        ("Arguments", {"fields": ("positional", "keywords")}),
        ("Traceback", {"fields": ("trace",)}),
        ("Message", {"fields": ("bytes", "text", "base64")}),
    )

    # --- finding ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        return super().get_queryset(request).light()  # type: ignore[attr-defined, no-any-return]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[DeadLetter], search_term: str
    ) -> tuple[QuerySet[DeadLetter], bool]:
        term = search_term.strip()
        known = Q(job_id=term) | Q(task=term) | Q(error=term) | Q(fingerprint=term)
        return (queryset.filter(known) if term else queryset), False

    # --- pressing ---

    def buttons_for(self, request: HttpRequest, obj: DeadLetter) -> list[tuple[str, str]]:
        pressable = super().buttons_for(request, obj) if obj.status == Status.OPEN else []
        return [(name, name.capitalize()) for name, _ in pressable if obj.job_id or name != "requeue"]

    def may_requeue(self, obj: DeadLetter) -> bool:
        return obj.status == Status.OPEN and obj.job_id is not None

    def requeue_changed(self, obj: DeadLetter, **said: Any) -> str:
        return lifecycle.requeue([obj.pk], **said)[0].job_id

    @admin.action(description="Requeue selected dead letters", permissions=["operate"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        ids = self.selected(request, queryset)
        letters = DeadLetter.objects.filter(pk__in=ids, job_id__isnull=False)
        refuse_undecodable("dead letter", letters.values_list("pk", "body").iterator())
        done = lifecycle.requeue([int(pk) for pk in ids], by=who(request), reason=why(request))
        self.message_user(request, _said("Requeued", len(done), len(ids)), "success" if done else "warning")

    @admin.action(description="Discard selected dead letters", permissions=["operate"])
    def discard(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse | None:
        ids = self.selected(request, queryset)
        form = answered(request, ReasonForm)
        if not form.is_valid():
            return self.ask(request, form, f"Discard {many(len(ids), 'dead letter')}", ids, _lines(ids))
        done = lifecycle.discard([int(pk) for pk in ids], by=who(request), reason=form.cleaned_data["reason"])
        self.message_user(request, _said("Discarded", len(done), len(ids)), "success" if done else "warning")
        return None

    # --- showing ---

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is not None:
            obj.request = request
        return tuple(name for _, part in self.fieldsets or () for name in part["fields"])  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        missing = ("Message",) if obj is None or obj.raw is None else ("Arguments", "Traceback")
        return [fieldset for fieldset in self.fieldsets or () if fieldset[0] not in missing]

    @admin.display(description="letter")
    def number(self, letter: DeadLetter) -> str:
        return f"#{letter.pk}"

    @admin.display(description="status")
    def status_badge(self, letter: DeadLetter) -> SafeString:
        return badge(Status(letter.status).label, *LOOKS[Status(letter.status)])

    @admin.display(description="error")
    def what(self, letter: Any) -> SafeString | str:
        if not hasattr(letter, "request"):
            return str(letter.error or NONE)
        if letter.job_id is None:
            said = seen_message(letter, unredacted=sees_all(letter.request))
        else:
            said = shown_text(letter.request, letter.message, letter.task, letter.body)
        return format_html("<strong>{}</strong> {}", letter.error, said)

    @admin.display(description="reason")
    def reason_words(self, letter: DeadLetter) -> str:
        return str(Reason(letter.reason).label)

    @admin.display(description="died")
    def died(self, letter: DeadLetter) -> SafeString | str:
        return moment(letter.created_at)

    @admin.display(description="died")
    def died_at(self, letter: DeadLetter) -> SafeString | str:
        return both(letter.created_at)

    @admin.display(description="closed")
    def closed(self, letter: DeadLetter) -> SafeString | str:
        if letter.closed_at is None:
            return NONE
        return format_html("{} by {} {}", both(letter.closed_at), letter.closed_by or "its caller", letter.close_reason)

    @admin.display(description="job")
    def job(self, letter: DeadLetter) -> SafeString | str:
        return _job_link(letter.job_id)

    @admin.display(description="died before")
    def before(self, letter: DeadLetter) -> SafeString | str:
        if letter.previous_id is None:
            return NONE
        return format_html('<a href="{}">Dead letter #{}</a>', self.page_of(letter.previous_id), letter.previous_id)

    @admin.display(description="replaced by")
    def after(self, letter: DeadLetter) -> SafeString | str:
        return _job_link(letter.replaced_by_id)

    @admin.display(description="by position")
    def positional(self, letter: Any) -> SafeString | str:
        return self._arguments(letter, 0)

    @admin.display(description="by name")
    def keywords(self, letter: Any) -> SafeString | str:
        return self._arguments(letter, 1)

    @admin.display(description="traceback")
    def trace(self, letter: Any) -> SafeString | str:
        if not letter.traceback or not letter.job_id:
            return NONE
        return verbatim(shown_text(letter.request, letter.traceback, letter.task, letter.body))

    @admin.display(description="bytes kept")
    def bytes(self, letter: DeadLetter) -> str:
        return f"{len(letter.raw or b''):,}"

    @admin.display(description="as text")
    def text(self, letter: Any) -> SafeString | str:
        return self._raw(letter, "text")

    @admin.display(description="as base64")
    def base64(self, letter: Any) -> SafeString | str:
        return self._raw(letter, "base64")

    def _raw(self, letter: Any, form: str) -> SafeString | str:
        seen = seen_raw(letter.raw[:RAW_DRAWN], unredacted=sees_all(letter.request))[form]
        more = "" if len(letter.raw) <= RAW_DRAWN else f"Its first {RAW_DRAWN:,} bytes; the API gives all that is kept."
        return format_html("{}{}", verbatim(seen), more)

    def _arguments(self, letter: Any, part: int) -> SafeString | str:
        return shown_part(letter.request, letter.task, letter.body, part)


def figures(request: HttpRequest) -> Iterable[Figure]:
    """How many dead letters wait for a person."""
    if request.user.has_perm("dlq.view_deadletter"):
        count = DeadLetter.objects.open()[: CAP + 1].count()
        shown = f"{CAP:,}+" if count > CAP else f"{count:,}"
        yield Figure("Dead letters", shown, reverse("admin:dlq_deadletter_changelist"), "bad" if count else "good")


def _job_link(job_id: str | None) -> SafeString | str:
    if not job_id:
        return NONE
    return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[quote(job_id)]), job_id)


def _said(verb: str, done: int, asked: int) -> str:
    left = f" {asked - done} had already been requeued or discarded." if done < asked else ""
    return f"{verb} {many(done, 'dead letter')}.{left}"


def _lines(ids: list[str]) -> list[str]:
    letters = DeadLetter.objects.light().filter(pk__in=ids)[:20]
    more = [f"and {len(ids) - 20} more"] if len(ids) > 20 else []
    return [f"#{letter.pk} {letter}" for letter in letters] + more


admin.site.summarise(figures)  # type: ignore[attr-defined]
