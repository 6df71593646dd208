"""The ways in which people edit schedules: as the admin does, as code does, and by SQL of their own."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tests.support import scheduling


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


#: How a person edits: columns, timing, and the end of the row.
WAYS: dict[str, tuple[Callable[..., None], Callable[[str, int], None], Callable[[str], None]]] = {
    "save": (scheduling.save, scheduling.retime, scheduling.delete),
    "update": (scheduling.update, retime_by_update, delete_by_update),
    "sql": (sql, retime_by_sql, delete_by_sql),
}
