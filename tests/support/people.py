"""People who sign in to the console in a test."""

import importlib
from types import SimpleNamespace

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client


def browser(role: str) -> Client:
    """A signed-in person of this group."""
    _make_groups()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def _make_groups() -> None:
    """A test that commits empties the tables, also of what migrations made."""
    if not Group.objects.filter(name="view").exists():
        editor = SimpleNamespace(connection=connection)
        importlib.import_module("jobs.migrations.0002_groups").make_groups(apps, editor)
        importlib.import_module("dlq.migrations.0002_groups").grant(apps, editor)
