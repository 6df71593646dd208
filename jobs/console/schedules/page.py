"""The pages of schedules: the list, the page of one, its form, and the fragments that the form asks for."""

from typing import Any, ClassVar

import django_celery_beat.admin  # noqa: F401  (it registers its own pages first)
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django_celery_beat.models import PeriodicTask

from jobs.console.acting import who
from jobs.console.arguments import pretty, sees_all
from jobs.console.drawing import verbatim
from jobs.console.paging import CappedPaginator
from jobs.console.schedules import listing
from jobs.console.schedules.foretelling import Foretold, OutageForm, an_outage, foretell, foretold_of, next_lines
from jobs.console.schedules.form import ScheduleForm
from jobs.console.schedules.history import edits, last_ticks
from jobs.console.schedules.presses import PressesAdmin
from jobs.console.typed_arguments import Given, TypedArgumentsForm, stored
from jobs.console.zones import zone_or_none
from jobs.errors import JobError
from jobs.models import SchedulePolicy
from jobs.policies import Overlap
from jobs.schedules.outlook import State, outlook
from jobs.schedules.preview import note, words, zone_of
from jobs.schedules.rows import readable

NAME = "django_celery_beat_periodictask"
#: What the form sends beside its fields: show what comes; give the fields of this task.
PREVIEW, FIELDS_ONLY = "_preview", "_fields"


admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class ScheduleAdmin(PressesAdmin):
    """One model, four pages; none of django-celery-beat's."""

    list_display = ("name", "status", "when", "next_one", "last_ones", "overlaps")
    list_filter = (listing.ScheduleStateFilter,)
    search_fields = ("name", "task")
    search_help_text = "Part of a name or a task"
    sortable_by: ClassVar[tuple[str, ...]] = ()
    ordering = ("name",)
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    paginator = CappedPaginator
    change_list_template = "admin/schedules/list.html"

    def __init__(self, model: Any, admin_site: Any) -> None:
        super().__init__(model, admin_site)
        self.opts = listing.named_schedules(model._meta)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        return readable(super().get_queryset(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return listing.ScheduleList

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("preview/", view(self.preview_view), name=f"{NAME}_preview"),
            path("<path:object_id>/preview/", view(self.preview_view), name=f"{NAME}_preview_of"),
            path("<path:object_id>/ticks/", view(self.ticks_view), name=f"{NAME}_ticks"),
            path("<path:object_id>/edit/", view(self.edit_view), name=f"{NAME}_edit"),
            *super().get_urls(),
        ]

    # --- the list ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Schedules", "beat_is_away": listing.beat_is_away(), **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description="state")
    def status(self, row: Any) -> SafeString:
        return listing.state_and_reason(row)

    @admin.display(description="when")
    def when(self, row: PeriodicTask) -> str:
        return words(row)

    @admin.display(description="next tick")
    def next_one(self, row: Any) -> SafeString | str:
        return listing.next_tick(row.outlook)

    @admin.display(description="last ticks")
    def last_ones(self, row: Any) -> SafeString | str:
        return listing.last_outcomes(row.last_ticks)

    @admin.display(description="overlap")
    def overlaps(self, row: Any) -> str:
        policy = getattr(row, "policy", None)
        return str(policy.overlap if policy else Overlap.ALLOW).capitalize()

    # --- the page of one ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What it does and did. A POST is an edit, as Django has it under this address."""
        if request.method == "POST":
            return self.edit_view(request, object_id)
        row = self._row(request, object_id)
        if row is None:
            raise Http404
        return TemplateResponse(request, "admin/schedules/page.html", self._page_context(request, row))

    def _page_context(self, request: HttpRequest, row: PeriodicTask) -> dict[str, Any]:
        ticks = last_ticks([row.pk])[row.pk]
        seen = outlook(row)
        return {
            **self._context(request, row),
            "title": row.name,
            "outlook": seen,
            "state": listing.state_badge(seen),
            "paused_until": row.policy.resume_at if seen.state == State.PAUSED_UNTIL else None,
            "words": words(row),
            "facts": self._facts(request, row),
            "ticks": ticks,
            "strip": listing.strip(ticks),
            "edits": edits(row),
            "next": self._next(request, row),
            "beat_is_away": listing.beat_is_away(),
            "buttons": self.buttons_for(request, row),
            "why": self.action_form(auto_id=False)["reason"],
        }

    def ticks_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The next ticks by themselves, also in the zone that the browser names."""
        row = self._row(request, object_id)
        if row is None:
            raise Http404
        return TemplateResponse(request, "admin/schedules/ticks.html", {"foretold": self._next(request, row)})

    def _next(self, request: HttpRequest, row: PeriodicTask) -> Foretold:
        viewer = zone_or_none(request.GET.get("zone", ""))
        if not row.enabled:
            return Foretold(empty="No tick: it is not enabled.")
        try:
            zone = zone_of(row)
            lines = next_lines(row, zone, viewer, timezone.now())
        except JobError as broken:
            return Foretold(empty=str(broken))
        return Foretold("", note(row), lines, str(zone), str(viewer or ""), "" if lines else "No tick will come.")

    def _facts(self, request: HttpRequest, row: PeriodicTask) -> list[tuple[str, Any]]:
        """(label, value) of what it runs, as this person may see it."""
        policy = getattr(row, "policy", None) or SchedulePolicy()
        said = [
            ("Task", row.task),
            ("Queue", row.queue or "the task's own"),
            *_arguments(request, row),
            ("Missed ticks", policy.get_missed_display()),
            ("While a job runs", policy.get_overlap_display()),
            ("Description", row.description),
        ]
        return [(label, value) for label, value in said if value]

    # --- the form ---

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._form_view(request, None)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form, with its errors; a good one is saved and leads to the schedule's page."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        row = self._row(request, object_id)
        if row is None:
            raise Http404
        return self._form_view(request, row)

    def preview_view(self, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
        """What the form would do as it is typed, and what is wrong with it; or the fields of another task."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self._row(request, object_id) if object_id else None
        if object_id and row is None:
            raise Http404
        form = ScheduleForm(request.POST, row, sees_all=sees_all(request))
        if FIELDS_ONLY in request.POST:
            fields = TypedArgumentsForm(form.arguments.task, form.arguments.given)
            return TemplateResponse(request, "admin/schedules/arguments.html", {"arguments": fields})
        outages = OutageForm(request.POST)
        foretold = foretell(form, outages)
        errors = [*form.errors(), *outages.errors_by_id()]
        return TemplateResponse(request, "admin/schedules/foretold.html", {"foretold": foretold, "errors": errors})

    def _form_view(self, request: HttpRequest, row: PeriodicTask | None) -> HttpResponse:
        data = request.POST if request.method == "POST" else None
        form = ScheduleForm(data, row, sees_all=sees_all(request))
        if data is not None and PREVIEW not in data and form.is_valid():
            saved = form.save(who(request))
            self.message_user(request, f"Saved {saved.name}.", messages.SUCCESS)
            return HttpResponseRedirect(self.page_of(saved.pk))
        return self._form_page(request, row, form)

    def _form_page(self, request: HttpRequest, row: PeriodicTask | None, form: ScheduleForm) -> HttpResponse:
        outages = OutageForm(form.data, initial=an_outage(row))
        keys = [row.pk] if row else []
        context = {
            **self._context(request, row),
            "title": f"Edit {row.name}" if row else "Add a schedule",
            "form": form,
            "outages": outages,
            "foretold": foretell(form, outages) if form.data is not None else _as_it_is(row),
            "preview_url": reverse(f"admin:{NAME}_preview{'_of' if row else ''}", args=keys),
            "back_url": self.page_of(row.pk) if row else reverse(f"admin:{NAME}_changelist"),
            "was_saved": form.data is not None and PREVIEW not in form.data,
        }
        return TemplateResponse(request, "admin/schedules/form.html", context)

    def _context(self, request: HttpRequest, row: PeriodicTask | None) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "has_change_permission": self.has_change_permission(request, row),
            "has_delete_permission": self.has_delete_permission(request, row),
        }

    def _row(self, request: HttpRequest, object_id: str) -> PeriodicTask | None:
        """The schedule, for those who may see it."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        found: PeriodicTask | None = self.get_object(request, unquote(object_id))
        return found


def _as_it_is(row: PeriodicTask | None) -> Foretold:
    """Before anything was typed."""
    if row is None:
        return Foretold(empty="What comes is shown here.")
    try:
        zone = zone_of(row)
    except JobError as broken:
        return Foretold(empty=str(broken))
    return foretold_of(row, zone, None, None)


def _arguments(request: HttpRequest, row: PeriodicTask) -> list[tuple[str, Any]]:
    """Those by position and those by name, as this person may see them."""
    try:
        args, kwargs = Given(*stored(row.args, row.kwargs), row.task, masked=not sees_all(request)).shown()
    except ValueError:
        return [("Arguments", "They are no JSON: nobody can read them.")]
    shown = [("By position", args), ("By name", kwargs)]
    return [(label, verbatim(pretty(value))) for label, value in shown if value]
