"""Where a schedule's row differs from what is declared, field by field."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django_celery_beat.models import PeriodicTask

from jobs.errors import JobError
from jobs.messages import loads
from jobs.models import SchedulePolicy
from jobs.redaction import redacted
from jobs.registry import registered_tasks
from jobs.schedules.declared import AS_JSON, COLUMNS, Declared
from jobs.schedules.reading import timing_of
from jobs.schedules.rows import TIMINGS

#: Text columns in which nothing may be kept as NULL or as "".
MAY_BE_EMPTY = frozenset({"queue", "exchange", "routing_key", "description"})
ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Drift:
    """One field of a row that is not as declared; values as JSON has them, secrets masked."""

    name: str
    field: str
    declared: Any
    found: Any


def drift(declared: Declared, row: PeriodicTask) -> list[Drift]:
    """Where the row differs from what is declared, field by field."""
    return [Drift(declared.name, *one) for one in (*_timing_drift(declared, row), *_drift(declared, row))]


def timing_text(row: PeriodicTask) -> str:
    """The timing in one short line, readable or not."""
    found = [(name, getattr(row, name)) for name in TIMINGS if getattr(row, name) is not None]
    return ", ".join(_text_of(name, timing) for name, timing in found) or "none"


def _timing_drift(declared: Declared, row: PeriodicTask) -> Iterator[tuple[str, Any, Any]]:
    wanted = declared.row()
    try:
        same = timing_of(wanted, ANY_TIME) == timing_of(row, ANY_TIME)
    except JobError:  # what is found can't be read
        same = False
    if not same:
        yield "timing", timing_text(wanted), timing_text(row)


def _drift(declared: Declared, row: PeriodicTask) -> Iterator[tuple[str, Any, Any]]:
    for word, wanted in declared.named.items():
        found = value_of(row, word)
        if (wanted or "" if word in MAY_BE_EMPTY else wanted) != found:
            yield word, _shown(row.task, word, wanted), _shown(row.task, word, found)
    policy = getattr(row, "policy", None) or SchedulePolicy()
    for word, wanted in declared.policy.items():
        if (found := getattr(policy, word)) != wanted:
            yield word, wanted, found


def value_of(row: PeriodicTask, word: str) -> Any:
    """What the row has for a word of COLUMNS; the raw text of JSON that can't be read."""
    value = getattr(row, COLUMNS[word])
    if word in AS_JSON:
        try:
            return loads(value) if value else AS_JSON[word]
        except Exception:  # noqa: BLE001  kombu decodes {"__type__": ...} as it likes, and fails as it likes
            return value
    return value or "" if word in MAY_BE_EMPTY else value


def _shown(task: str, word: str, value: Any) -> Any:
    """Secrets of the task stay hidden: what is shown is also written into the activity."""
    known = registered_tasks().get(task)
    if word == "args" and isinstance(value, list):
        return redacted(known, value, {})[0]
    if word == "kwargs" and isinstance(value, dict):
        return redacted(known, [], value)[1]
    return value.isoformat() if isinstance(value, datetime) else value


def _text_of(name: str, timing: Any) -> str:
    if name == "interval":
        return f"every {timing.every} {timing.period}"
    if name == "crontab":
        line = (timing.minute, timing.hour, timing.day_of_month, timing.month_of_year, timing.day_of_week)
        return f"{' '.join(str(part).replace(' ', '') for part in line)} ({timing.timezone})"
    if name == "clocked":
        return str(timing.clocked_time.isoformat())
    return f"{timing.event} at {timing.latitude}, {timing.longitude}"
