"""The form of a schedule as a page, and the fragments that it asks for while one types."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from jobs.console.acting import who
from jobs.console.arguments import sees_all
from jobs.console.schedules.foretelling import Foretold, OutageForm, an_outage, foretell, foretold_of
from jobs.console.schedules.form import ScheduleForm
from jobs.console.schedules.presses import PressesAdmin
from jobs.console.typed_arguments import TypedArgumentsForm
from jobs.errors import JobError
from jobs.schedules.preview import zone_of

NAME = "django_celery_beat_periodictask"
#: What the form sends beside its fields: show what comes; give the fields of this task.
PREVIEW, FIELDS_ONLY = "_preview", "_fields"


class EditingAdmin(PressesAdmin):
    """Adding and editing."""

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
