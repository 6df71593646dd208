"""The pages of schedules: the list, the page of one, its form, and the fragments that the form asks for."""

from typing import Any, ClassVar

import django_celery_beat.admin  # noqa: F401  (it registers its own pages first)
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django_celery_beat.models import PeriodicTask

from jobs.console.arguments import pretty, sees_all
from jobs.console.drawing import verbatim
from jobs.console.paging import CappedPaginator
from jobs.console.schedules import listing
from jobs.console.schedules.editing import NAME, EditingAdmin
from jobs.console.schedules.foretelling import Foretold, next_lines
from jobs.console.schedules.history import edits, last_ticks
from jobs.console.typed_arguments import Given, stored
from jobs.console.zones import zone_or_none
from jobs.errors import JobError
from jobs.models import SchedulePolicy
from jobs.policies import Overlap
from jobs.schedules.outlook import State, outlook
from jobs.schedules.preview import note, words, zone_of
from jobs.schedules.rows import readable

admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class ScheduleAdmin(EditingAdmin):
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
        self.opts: Any = listing.NamedSchedules(model._meta)

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


def _arguments(request: HttpRequest, row: PeriodicTask) -> list[tuple[str, Any]]:
    """Those by position and those by name, as this person may see them."""
    try:
        args, kwargs = Given(*stored(row.args, row.kwargs), row.task, masked=not sees_all(request)).shown()
    except ValueError:
        return [("Arguments", "They are no JSON: nobody can read them.")]
    shown = [("By position", args), ("By name", kwargs)]
    return [(label, verbatim(pretty(value))) for label, value in shown if value]
