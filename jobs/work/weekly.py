"""The mailed report over the jobs of the last seven days."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from email.mime.image import MIMEImage
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max, Q
from django.db.models.functions import TruncDate
from django.template.loader import render_to_string
from django.utils import timezone

from jobs.models import Job
from jobs.states import State
from jobs.work import charts, mail

DAYS = 7
LISTED = 10
CHART_CID = "week-chart"


def mail_report(email: str, *, key: str = "") -> dict[str, Any]:
    """Mails the week's report; returns status, recipient and the number of jobs in it."""
    week = figures(timezone.now())
    week["chart_cid"] = CHART_CID
    message = EmailMultiAlternatives(
        f"Jobs of the week to {week['until']:%d %B %Y}: {week['total']:,}, {week['dead']:,} dead",
        render_to_string("work/week.txt", week),
        to=[email],
    )
    message.attach_alternative(render_to_string("work/week.html", week), "text/html")
    message.attach(_picture(week["days"]))
    return {**mail.deliver(message, key=key), "jobs": week["total"]}


def figures(now: datetime) -> dict[str, Any]:
    """What the report says: jobs a day and state, slowest and most failed tasks, of the seven days before `now`."""
    jobs = Job.objects.filter(created_at__gte=now - timedelta(days=DAYS), created_at__lt=now)
    days = _days(jobs, now.date())
    states = [state.value for state in State if any(day["counts"][state.value] for day in days)]
    return {
        "since": now.date() - timedelta(days=DAYS),
        "until": now.date(),
        "states": states,
        "days": [{**day, "cells": [day["counts"][state] for state in states]} for day in days],
        "total": sum(sum(day["counts"].values()) for day in days),
        "dead": sum(day["counts"][State.DEAD] for day in days),
        "slowest": _slowest(jobs),
        "failed": _failed(jobs),
    }


def _days(jobs: Any, last: date) -> list[dict[str, Any]]:
    found = jobs.annotate(day=TruncDate("created_at")).values_list("day", "state").annotate(n=Count("pk"))
    counts = {(day, state): n for day, state, n in found.order_by("day", "state")}
    week = [last - timedelta(days=ago) for ago in reversed(range(DAYS + 1))]
    return [{"day": day, "counts": {s.value: counts.get((day, s.value), 0) for s in State}} for day in week]


def _slowest(jobs: Any) -> list[dict[str, Any]]:
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    ended = jobs.filter(state=State.SUCCEEDED, started_at__isnull=False)
    found = ended.values("task").annotate(mean=Avg(took), longest=Max(took), jobs=Count("pk")).order_by("-mean")
    return [
        {**row, "mean": row["mean"].total_seconds(), "longest": row["longest"].total_seconds()}
        for row in found[:LISTED]
    ]


def _failed(jobs: Any) -> list[dict[str, Any]]:
    found = jobs.values("task").annotate(dead=Count("pk", filter=Q(state=State.DEAD)), jobs=Count("pk"))
    return list(found.filter(dead__gt=0).order_by("-dead")[:LISTED])


def _picture(days: Sequence[dict[str, Any]]) -> MIMEImage:
    drawn = charts.png(charts.stacked([(f"{day['day']:%a %d}", day["counts"]) for day in days]))
    part = MIMEImage(drawn, "png")
    part.add_header("Content-ID", f"<{CHART_CID}>")
    part.add_header("Content-Disposition", "inline", filename="jobs-of-the-week.png")
    return part
