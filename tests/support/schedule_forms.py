"""The form of a schedule as a browser sends it."""

from typing import Any

from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

PAGE = "admin:django_celery_beat_periodictask"
EMPTY: dict[str, Any] = {
    "name": "nightly",
    "task": "check_health",
    "queue": "",
    "enabled": "on",
    "kind": "interval",
    "every": "5",
    "period": "minutes",
    "minute": "*",
    "hour": "*",
    "day_of_month": "*",
    "month_of_year": "*",
    "day_of_week": "*",
    "once_at": "",
    "event": "sunrise",
    "latitude": "",
    "longitude": "",
    "zone": "UTC",
    "missed": "once",
    "missed_limit": "10",
    "max_lateness": "",
    "overlap": "allow",
    "jitter": "0",
    "pause_after": "",
    "headers": "{}",
}
QUARTERS = {"kind": "crontab", "minute": "*/15", "hour": "8-18", "day_of_week": "1-5", "zone": "Europe/Paris"}


def said(**more: Any) -> dict[str, Any]:
    """What the form sends; arguments as `arguments__to="..."`."""
    named = {name.replace("arguments__", "arguments-"): value for name, value in more.items()}
    return {**EMPTY, **named}


def add(client: Client, **more: Any) -> Any:
    """The answer to a new schedule."""
    return client.post(reverse(f"{PAGE}_add"), said(**more))


def edit(client: Client, row: PeriodicTask, **more: Any) -> Any:
    """The answer to an edit."""
    return client.post(reverse(f"{PAGE}_edit", args=[row.pk]), said(**{"name": row.name, "task": row.task, **more}))


def added(client: Client, **more: Any) -> PeriodicTask:
    """The schedule that the form made."""
    answer = add(client, **more)
    assert answer.status_code == 302, errors(answer)
    return PeriodicTask.objects.latest("pk")


def edited(client: Client, row: PeriodicTask, **more: Any) -> PeriodicTask:
    """The schedule as the form left it."""
    answer = edit(client, row, **more)
    assert answer.status_code == 302, errors(answer)
    return PeriodicTask.objects.get(pk=row.pk)


def previewed(client: Client, row: PeriodicTask | None = None, **more: Any) -> str:
    """The fragment."""
    url = reverse(f"{PAGE}_preview_of", args=[row.pk]) if row else reverse(f"{PAGE}_preview")
    answer = client.post(url, said(**more))
    assert answer.status_code == 200
    return str(answer.content.decode())


def errors(answer: Any) -> dict[str, list[str]]:
    """id of a field → what the form says of it."""
    return dict(answer.context["form"].errors())


def every_five_minutes(name: str = "health", **columns: Any) -> PeriodicTask:
    """A row with an interval that others may share."""
    wanted = {"every": 5, "period": "minutes"}
    interval = IntervalSchedule.objects.filter(**wanted).first() or IntervalSchedule.objects.create(**wanted)
    row: PeriodicTask = PeriodicTask.objects.create(name=name, interval=interval, **{"task": "check_health", **columns})
    return row
