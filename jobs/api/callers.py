"""Who calls, and what they may do: a token with its scope's permissions, or a signed-in admin user."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Permission
from django.http import HttpRequest
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from jobs.api.problems import Problem
from jobs.api.tokens import find_token
from jobs.models import Token

VIEW_JOBS, OPERATE_JOBS, VIEW_PAYLOAD = "jobs.view_job", "jobs.operate_job", "jobs.view_payload"
VIEW_QUEUES, OPERATE_QUEUES = "jobs.view_queue", "jobs.operate_queue"
VIEW_SCHEDULES = "django_celery_beat.view_periodictask"


@dataclass(frozen=True)
class Caller:
    """`name` is written into the activity; `key` tells callers apart for Idempotency-Key."""

    name: str
    key: str
    may: Callable[[str], bool]


class May(AuthBase):
    """Lets those pass who have the permission: 401 without credentials, 403 without the permission."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, permission: str) -> None:
        self.permission = permission
        super().__init__()

    def __call__(self, request: HttpRequest) -> Caller | None:
        caller = caller_of(request)
        if caller and not caller.may(self.permission):
            raise Problem(403, f"{caller.name} lacks the permission {self.permission}.")
        return caller


def caller_of(request: HttpRequest) -> Caller | None:
    """Who the request's credentials belong to; a session must bring its CSRF token."""
    if header := request.headers.get("Authorization"):
        return _bearer(header)
    user: Any = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return None
    if check_csrf(request):
        raise Problem(403, "A session must send its CSRF token in the header X-CSRFToken.")
    return Caller(user.get_username(), f"user:{user.pk}", user.has_perm)


def _bearer(header: str) -> Caller | None:
    scheme, _, key = header.partition(" ")
    token = find_token(key.strip()) if scheme.lower() == "bearer" and key.strip() else None
    if token is None:
        return None
    granted = _permissions(token)
    return Caller(f"token {token.name}", f"token:{token.pk}", granted.__contains__)


def _permissions(token: Token) -> set[str]:
    """The permissions of the group that has the scope's name, as app.codename."""
    rows = Permission.objects.filter(group__name=token.scope).values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}
