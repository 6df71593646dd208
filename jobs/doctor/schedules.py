"""The schedules: whether each has a task, a queue, arguments that the task takes, and a time."""

import json
from collections.abc import Iterator
from typing import Any

from django_celery_beat.models import PeriodicTask

from jobs.doctor.finding import About, Finding
from jobs.errors import ArgumentsRefused
from jobs.queues import declared
from jobs.redaction import is_plumbing
from jobs.registry import registered_tasks
from jobs.schedules.preview import next_ticks
from jobs.signatures import signature_of

ABOUT = About("schedules")
MEND = "Edit it in the console, or disable it."


def examine() -> Iterator[Finding]:
    """Raises DatabaseError."""
    rows = list(PeriodicTask.objects.select_related("interval", "crontab", "clocked", "solar").filter(enabled=True))
    found = [finding for row in sorted(rows, key=lambda row: row.name) for finding in findings(row)]
    yield from found or [ABOUT.fine(f"{len(rows)} schedules are enabled, and each can be run.")]


def findings(row: PeriodicTask) -> Iterator[Finding]:
    """What is wrong with one enabled schedule."""
    task = registered_tasks().get(row.task)
    if task is None:
        says = f"{row.name} names the task {row.task}, which no loaded module registers."
        yield ABOUT.error("unknown_task", says, f"{MEND} Or add its module to JOBS_TASK_MODULES.")
    if row.queue and row.queue not in declared():
        says = f"{row.name} names the queue {row.queue}, which is not declared."
        yield ABOUT.error("unknown_queue", says, f"{MEND} Or set JOBS_QUEUES={row.queue}:4.")
    if fault := _arguments(row, task):
        yield ABOUT.error("arguments", f"{row.name} has {fault}.", MEND)
    yield from _time(row)


def _arguments(row: PeriodicTask, task: Any) -> str:
    """What is wrong with its arguments, or ""."""
    for name, kind, wanted in (("args", list, "list"), ("kwargs", dict, "object"), ("headers", dict, "object")):
        if not isinstance(_json(getattr(row, name)), kind if getattr(row, name) else object):
            return f"{name} that are no JSON {wanted}"
    if task is None or is_plumbing(task):
        return ""
    try:
        signature_of(task).check(_json(row.args) or [], _json(row.kwargs) or {})
    except ArgumentsRefused as refused:
        return f"arguments that its task refuses: {refused}".rstrip(".")
    return ""


def _time(row: PeriodicTask) -> Iterator[Finding]:
    try:
        if row.interval and row.interval.every < 1:
            raise ValueError("an interval of nothing")
        ticks = next_ticks(row, 1) or row.solar or row.one_off
    except Exception as error:  # noqa: BLE001  whatever a row holds that nobody can read is the finding
        yield ABOUT.error("time", f"{row.name} has a time that can't be read ({error}).", MEND)
        return
    if not ticks:
        yield ABOUT.warning("never", f"{row.name} is enabled and will never tick again.", MEND)


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text
