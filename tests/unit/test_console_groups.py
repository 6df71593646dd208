"""The groups view, operate and admin, as a fresh database has them."""

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection

from tests.support.people import make_groups

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _groups(db: None) -> None:
    """As a migration made them; another test of this process may have emptied the tables."""
    make_groups()


def _permissions(name: str) -> set[str]:
    of = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{label}.{codename}" for label, codename in of}


def test_the_view_group_may_only_look() -> None:
    assert _permissions("view")
    assert all(name.partition(".")[2].startswith("view_") for name in _permissions("view"))
    assert not _permissions("view") & {"jobs.view_payload", "jobs.view_token"}


def test_the_operate_group_acts_but_neither_edits_schedules_nor_sees_secrets() -> None:
    acts = {"jobs.operate_job", "jobs.operate_queue", "jobs.operate_schedule", "dlq.operate_deadletter"}
    assert _permissions("operate") == _permissions("view") | acts


def test_the_admin_group_may_do_everything() -> None:
    assert _permissions("admin") > _permissions("operate")
    assert {
        "jobs.view_payload",
        "jobs.admin_jobs",
        "django_celery_beat.change_periodictask",
        "auth.add_user",
    } <= _permissions("admin")


def test_making_the_groups_again_changes_nothing() -> None:
    before = {name: _permissions(name) for name in ("view", "operate", "admin")}
    editor = SimpleNamespace(connection=connection)
    importlib.import_module("jobs.migrations.0002_groups").make_groups(apps, editor)
    importlib.import_module("dlq.migrations.0002_groups").grant(apps, editor)
    assert {name: _permissions(name) for name in before} == before
