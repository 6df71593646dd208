"""Activity: who touched it, and why."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.console.acting import ReadOnlyAdmin
from jobs.console.drawing import both, moment, verbatim
from jobs.console.filters import StaticFilter
from jobs.models import Activity


class KindFilter(StaticFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in ("job", "dead letter", "queue", "schedule", "token")]


@admin.register(Activity)
class ActivityAdmin(ReadOnlyAdmin):
    list_display = ("when", "by", "action", "kind", "key", "reason")
    list_display_links = ("action",)
    list_filter = (KindFilter,)
    search_fields = ("key",)
    search_help_text = "A name or a key, written in full"
    actions = None
    fields = ("exactly_when", "by", "action", "kind", "key", "reason", "further")
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Activity], search_term: str
    ) -> tuple[QuerySet[Activity], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(key=term) | Q(by=term)) if term else queryset), False

    @admin.display(description="when")
    def when(self, activity: Activity) -> SafeString | str:
        return moment(activity.at)

    @admin.display(description="when")
    def exactly_when(self, activity: Activity) -> SafeString | str:
        return both(activity.at)

    @admin.display(description="facts")
    def further(self, activity: Activity) -> SafeString | str:
        return verbatim(json.dumps(activity.facts, indent=2, ensure_ascii=False) if activity.facts else "")
