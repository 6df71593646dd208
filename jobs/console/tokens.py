"""Tokens: who may call the API. They are made by `manage.py create_token`, and deleted here."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs import activity
from jobs.console.acting import ActingAdmin, ReadOnlyAdmin, who
from jobs.models import Token


@admin.register(Token)
class TokenAdmin(ActingAdmin, ReadOnlyAdmin):
    list_display = ("name", "scope", "created_at")
    fields = ("name", "scope", "created_at")
    ordering = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_admin_permission(request)

    def delete_model(self, request: HttpRequest, obj: Token) -> None:
        self._delete(request, Token.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        self._delete(request, queryset)

    def _delete(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        with transaction.atomic():
            for name in tokens.values_list("name", flat=True):
                activity.record(who(request), "delete", "token", name)
            tokens.delete()
