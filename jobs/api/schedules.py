"""The schedules, and when they tick next."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django_celery_beat.models import PeriodicTask
from ninja import Router

from jobs.api.answers import reply
from jobs.api.callers import VIEW_SCHEDULES, May
from jobs.api.schemas import SchedulesOut
from jobs.schedules.preview import next_ticks, words

router = Router(tags=["schedules"])


@router.get("", auth=May(VIEW_SCHEDULES), response=SchedulesOut, summary="Show the schedules")
def list_schedules(request: HttpRequest) -> HttpResponse:
    rows = PeriodicTask.objects.select_related("interval", "crontab", "clocked", "solar").order_by("name")
    return reply({"items": [_shown(row) for row in rows]})


def _shown(row: PeriodicTask) -> dict[str, Any]:
    return {
        "name": row.name,
        "task": row.task,
        "words": words(row),
        "enabled": row.enabled,
        "next": [tick.isoformat() for tick in next_ticks(row)],
        "last_run": row.last_run_at.isoformat() if row.last_run_at else None,
    }
