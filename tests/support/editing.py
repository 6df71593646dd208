"""The ways in which people edit schedules: as the admin does, as code does, by SQL of their own, and in the console."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tests.support import scheduling
from tests.support.schedule_forms import PAGE
from tests.support.schedule_forms import edit as send


def sql(name: str, /, **columns: Any) -> None:
    """By hand, past Django's models."""
    marks = ", ".join(f"{column} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE django_celery_beat_periodictask SET {marks} WHERE name = %s", [*columns.values(), name])
        assert cursor.rowcount == 1


def delete_by_sql(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_celery_beat_periodictask WHERE name = %s", [name])


def delete_by_update(name: str) -> None:
    PeriodicTask.objects.filter(name=name).delete()


def retime_by_update(name: str, seconds: int) -> None:
    IntervalSchedule.objects.filter(periodictask__name=name).update(every=seconds)


def retime_by_sql(name: str, seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_celery_beat_intervalschedule SET every = %s WHERE id IN "
            "(SELECT interval_id FROM django_celery_beat_periodictask WHERE name = %s)",
            [seconds, name],
        )


def in_console(name: str, /, **columns: Any) -> None:
    """By the form of a schedule whose task takes one word; `enabled` by the buttons of its page."""
    if "enabled" in columns:
        _press("resume" if columns["enabled"] else "pause", name)
    else:
        _send(name, _interval_of(name), json.loads(columns["args"])[0])


def retime_in_console(name: str, seconds: int) -> None:
    _send(name, seconds, name)


def _send(name: str, seconds: int, word: str) -> None:
    row = PeriodicTask.objects.get(name=name)
    answer = send(_person(), row, every=str(seconds), period="seconds", arguments__word=word)
    assert answer.status_code == 302, answer.content.decode()


def _press(action: str, name: str) -> None:
    key = PeriodicTask.objects.get(name=name).pk
    said = {"action": action, "_selected_action": [key], "answered": "1", "reason": "as it is tested"}
    assert _person().post(reverse(f"{PAGE}_changelist"), said).status_code == 302


def _interval_of(name: str) -> int:
    return IntervalSchedule.objects.get(periodictask__name=name).every


def _person() -> Client:
    person, _ = User.objects.get_or_create(username="editor", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(person)
    return client


#: How a person edits: columns, timing, and the end of the row.
WAYS: dict[str, tuple[Callable[..., None], Callable[[str, int], None], Callable[[str], None]]] = {
    "save": (scheduling.save, scheduling.retime, scheduling.delete),
    "update": (scheduling.update, retime_by_update, delete_by_update),
    "sql": (sql, retime_by_sql, delete_by_sql),
}
