"""What the pages share: read-only rows, actions that a person may be allowed, and a page that asks first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin, ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from jobs.console.paging import CappedPaginator
from jobs.errors import JobError

if TYPE_CHECKING:
    AnyAdmin = ModelAdmin[Any]
else:  # Django's class takes no type at run time
    AnyAdmin = ModelAdmin

#: What one press may act on; the confirmation page carries each id in a field (Django reads 1,000 fields).
MOST = 500


class WhyForm(ActionForm):
    """Beside the choice of an action: why, written into the activity."""

    reason = forms.CharField(
        label="Why", max_length=500, required=False, widget=forms.TextInput(attrs={"placeholder": "optional"})
    )


class AskedAdmin(AnyAdmin):
    """A URL asks what the page offers to ask, and nothing beside it."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only the page's filters: any other column in the URL would tell what redaction hides."""
        offered = {getattr(given, "parameter_name", f"{given}__exact") for given in self.list_filter}
        return lookup in offered and "\x00" not in str(value)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # PostgreSQL takes no NUL.
        return None if "\x00" in object_id else super().get_object(request, object_id, from_field)


class ReadOnlyAdmin(AskedAdmin):
    """Rows that no person adds, changes or deletes."""

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50
    list_max_show_all = 200
    show_facets = ShowFacets.NEVER
    sortable_by = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ActingAdmin(AskedAdmin):
    """Actions gated by `operate_permission` or the admin's; an action that is not allowed is a 403, not a shrug."""

    change_form_template = "admin/acting.html"
    operate_permission = "jobs.operate_job"
    admin_permission = "jobs.admin_jobs"
    #: Actions shown as buttons on the page of one row.
    buttons: Sequence[str] = ()

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.operate_permission))

    def has_admin_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.admin_permission))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and request.POST.get("action", "") not in ("", *self.get_actions(request)):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *more: Any) -> HttpResponse | None:
        try:
            self._check_selected(request)
            response = super().response_action(request, queryset, *more)
        except JobError as refused:
            self.message_user(request, str(refused), messages.ERROR)
            response = HttpResponseRedirect(request.get_full_path())
        came_from = request.POST.get("from_page")
        if came_from and isinstance(response, HttpResponseRedirect):
            return HttpResponseRedirect(self.page_of(came_from))
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        buttons = self.buttons_for(request, obj) if obj else []
        why = self.action_form(auto_id=False)["reason"] if issubclass(self.action_form, WhyForm) else None
        context = {"buttons": buttons, "why": why, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def buttons_for(self, request: HttpRequest, obj: Any) -> list[tuple[str, str]]:
        """(action, words) of the buttons on this row's page, of those this person may press."""
        allowed: dict[str, Any] = self.get_actions(request)
        return [(name, str(allowed[name][2])) for name in self.buttons if name in allowed]

    def page_of(self, pk: Any) -> str:
        """The URL of one row's page."""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[quote(str(pk))])

    def selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        """The ids that were ticked, also those that meanwhile left the list; or those of the whole list."""
        across = request.POST.get("select_across") == "1"
        ids = list(queryset.values_list("pk", flat=True)[: MOST + 1]) if across else None
        ids = request.POST.getlist(ACTION_CHECKBOX_NAME) if ids is None else ids
        if len(ids) > MOST:
            raise TooManySelected
        return [str(pk) for pk in ids]

    def _check_selected(self, request: HttpRequest) -> None:
        """Django itself would ask the database for whatever was sent."""
        for pk in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.clean(pk, None)
            except ValidationError as error:
                raise NoRowSelected(pk) from error
            if "\x00" in pk:
                raise NoRowSelected(pk)

    def ask(
        self, request: HttpRequest, form: forms.Form, question: str, ids: Sequence[str], lines: Sequence[Any] = ()
    ) -> TemplateResponse:
        """The page that says what will happen, and asks for a reason."""
        came_from = request.POST.get("from_page", "")
        context = {
            **self.admin_site.each_context(request),
            "title": question,
            "opts": self.opts,
            "form": form,
            "ids": ids,
            "lines": lines,
            "action": request.POST["action"],
            "from_page": came_from,
            "back_url": self.page_of(came_from) if came_from else request.get_full_path(),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/ask.html", context)


class ReasonForm(forms.Form):
    """Why; it is written into the activity."""

    reason = forms.CharField(max_length=500, required=False, widget=forms.TextInput(attrs={"size": 60}))


def answered(request: HttpRequest, form: type[forms.Form]) -> forms.Form:
    """The form as the confirmation page sent it; invalid, with what is known, when that page was not shown yet."""
    return form(request.POST if "answered" in request.POST else None, initial={"reason": why(request)})


def why(request: HttpRequest) -> str:
    """The reason that was given beside the action or the button."""
    return request.POST.get("reason", "").strip()


def who(request: HttpRequest) -> str:
    """The name that goes into the activity."""
    return str(request.user.get_username())


def many(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class NoRowSelected(JobError):
    """What was ticked can't be the key of a row."""

    def __init__(self, key: str) -> None:
        super().__init__(f"No row has the key {key!r}. Go back to the list, and select rows there.")


class TooManySelected(JobError):
    """More rows than one press may act on."""

    def __init__(self) -> None:
        super().__init__(f"More than {MOST} rows are selected. Narrow the list with a filter, and act in parts.")
