"""The schedules: how each is doing, and when it ticks next."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django_celery_beat.models import PeriodicTask
from ninja import Router

from jobs.api.answers import reply
from jobs.api.callers import VIEW_SCHEDULES, May
from jobs.api.schemas import SchedulesOut
from jobs.schedules.outlook import Outlook, outlooks
from jobs.schedules.preview import next_ticks, words
from jobs.schedules.rows import schedule_rows

router = Router(tags=["schedules"])


@router.get("", auth=May(VIEW_SCHEDULES), response=SchedulesOut, summary="Show the schedules")
def list_schedules(request: HttpRequest) -> HttpResponse:
    return reply({"items": shown(list(schedule_rows()))})


def shown(rows: Sequence[PeriodicTask]) -> list[dict[str, Any]]:
    """Schedules as the API and `schedules list --json` show them, in the same few statements for one and for many."""
    found = outlooks(rows)
    return [_shown(row, found[row.pk]) for row in rows]


def _shown(row: PeriodicTask, outlook: Outlook) -> dict[str, Any]:
    return {
        "name": row.name,
        "task": row.task,
        "words": words(row),
        "enabled": row.enabled,
        "state": outlook.state.value,
        "reason": outlook.reason,
        "next": [tick.isoformat() for tick in next_ticks(row)],
        "next_tick": _iso(outlook.next_tick),
        "late_by": outlook.late_by,
        "last_run": _iso(row.last_run_at),
        "last_tick": {**asdict(outlook.last), "at": _iso(outlook.last.at)} if outlook.last else None,
        "resumes_at": _iso(row.policy.resume_at) if outlook.state == outlook.state.PAUSED_UNTIL else None,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
