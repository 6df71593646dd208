"""What a station needs before it starts: its tables, a first admin, a first API token, a picture to play with."""

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from jobs.api.tokens import create_token
from jobs.models import Token
from jobs.supervisor import sample


@dataclass(frozen=True)
class Keys:
    """What was made by this run, to be shown once; None: it stood already."""

    username: str
    password: str | None
    token: str | None


def prepare() -> Keys:
    """Bring the station's data up to date; safe to repeat."""
    call_command("migrate", verbosity=0, interactive=False)
    if not settings.DEBUG:
        call_command("collectstatic", verbosity=0, interactive=False)
    sample.store()
    return Keys(settings.ADMIN_USERNAME, _first_admin(), _first_token())


def _first_admin() -> str | None:
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return None
    password = settings.ADMIN_PASSWORD or secrets.token_urlsafe(12)
    users.create_superuser(settings.ADMIN_USERNAME, password=password)  # type: ignore[attr-defined]
    return str(password)


def _first_token() -> str | None:
    return None if Token.objects.exists() else create_token("first", Token.Scope.ADMIN, by="make run")
