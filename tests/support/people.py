"""What a person does: signs in to the console, presses the operators' verbs (functions a station can call)."""

import importlib
from types import SimpleNamespace
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client

from jobs import operations


def browser(role: str) -> Client:
    """A signed-in person of this group."""
    make_groups()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def make_groups() -> None:
    """A test that commits empties the tables, also of what migrations made."""
    if not Group.objects.filter(name="view").exists():
        editor = SimpleNamespace(connection=connection)
        importlib.import_module("jobs.migrations.0002_groups").make_groups(apps, editor)
        importlib.import_module("dlq.migrations.0002_groups").grant(apps, editor)


def requeue(*ids: str) -> list[str]:
    """A person requeues; the ids that were."""
    return list(operations.requeue(ids, by="tester", reason="mended"))


def requeue_changed(id: str, args: list[Any]) -> str:
    """A person requeues with other arguments; the new id."""
    return operations.requeue_changed(id, args=args, by="tester", reason="mended")


def pause(queue: str) -> None:
    operations.pause(queue, by="tester", reason="a test")


def resume(queue: str) -> None:
    operations.resume(queue, by="tester")


def purge(queue: str) -> int:
    return operations.purge(queue, by="tester", reason="a test")
