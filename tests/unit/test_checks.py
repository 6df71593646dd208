"""The system checks: each fires alone, and the shipped settings have none."""

import importlib
from typing import Any

import pytest
from celery import current_app
from celery.app.routes import prepare
from django.conf import settings as django_settings
from django.core import checks as django_checks

from jobs import checks, registry
from jobs.registry import registered_tasks


def ids() -> list[str]:
    """Of our own checks, as `manage.py check` runs them."""
    return [str(message.id) for message in django_checks.run_checks(tags=["jobs"])]


def test_the_shipped_settings_pass() -> None:
    assert ids() == []
    registered: set[Any] = set(django_checks.registry.registry.get_checks())
    assert registered >= set(checks.CHECKS)


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [
        ("CELERY_RESULT_BACKEND", "django-db", "jobs.E005"),
        ("CELERY_WORKER_CONSUMER", "celery.worker.consumer:Consumer", "jobs.E005"),
        ("CELERY_BEAT_SCHEDULER", "celery.beat:PersistentScheduler", "jobs.E005"),
        ("CELERY_TASK_ALWAYS_EAGER", True, "jobs.E006"),
        ("CELERY_ACCEPT_CONTENT", ["json", "pickle"], "jobs.E007"),
        ("CELERY_WORKER_PREFETCH_MULTIPLIER", 4, "jobs.W003"),
        ("CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT", 0, "jobs.W004"),
    ],
)
def test_each_unsafe_setting_is_found_alone(settings, name: str, value: Any, id: str) -> None:
    setattr(settings, name, value)
    assert ids() == [id]


@pytest.mark.parametrize(
    ("option", "value", "id"),
    [
        ("visibility_timeout", 305, "jobs.E003"),
        ("socket_timeout", None, "jobs.E004"),
        ("socket_connect_timeout", 0, "jobs.E004"),
    ],
)
def test_each_unsafe_option_of_the_transport_is_found_alone(settings, option: str, value: Any, id: str) -> None:
    options = {**django_settings.CELERY_BROKER_TRANSPORT_OPTIONS, option: value}
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = options
    assert ids() == [id]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"time_limit": 100, "soft_time_limit": 100}, ["jobs.E002"]),
        ({"time_limit": 100, "soft_time_limit": 99}, []),
        ({"time_limit": 100}, ["jobs.W002"]),
        ({"time_limit": 300}, []),
        ({"time_limit": 7200}, ["jobs.E003", "jobs.W001"]),
        ({"queue": "nowhere"}, ["jobs.E008"]),
        ({"queue": "heavy"}, []),
    ],
)
def test_each_option_of_a_task_is_looked_at(monkeypatch, options: dict[str, Any], expected: list[str]) -> None:
    for name, value in options.items():
        monkeypatch.setattr(registered_tasks()["check_health"], name, value, raising=False)
    assert sorted(ids()) == expected


def test_a_task_without_any_hard_limit_is_an_error(settings, monkeypatch) -> None:
    settings.CELERY_TASK_TIME_LIMIT = None
    monkeypatch.setattr(registered_tasks()["send_email"], "time_limit", None)
    found = [message for message in checks.check_limits() if message.id == "jobs.E001"]
    assert [message.msg.partition(" ")[0] for message in found] == ["send_email"]


def test_a_route_to_no_queue_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr(current_app.amqp.router, "routes", prepare({"send_email": {"queue": "nowhere"}}))
    [found] = checks.check_limits()
    assert (found.id, found.msg.partition(" ")[0]) == ("jobs.E008", "send_email")


def test_a_task_module_that_is_missing_is_one_error(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_load", lambda: importlib.import_module("no.such.module"))
    assert ids() == ["jobs.E009"]


def test_loading_the_tasks_runs_the_checks_and_the_checks_load_no_tasks_again() -> None:
    current_app.loader.import_default_modules()
    assert "send_email" in registered_tasks()
