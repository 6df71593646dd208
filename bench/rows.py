"""Schedules as rows of django-celery-beat, written with plain SQL: no form and no `save()` looks at them first."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Statement = tuple[str, list[Any]]

COLUMNS: dict[str, Any] = {
    "task": "bench.noop",
    "args": "[]",
    "kwargs": "{}",
    "headers": "{}",
    "enabled": True,
    "one_off": False,
    "total_run_count": 0,
    "description": "",
}
#: The defaults of ours.
POLICY: dict[str, Any] = {
    "missed": "once",
    "missed_limit": 10,
    "overlap": "allow",
    "jitter": 0,
    "paused_by": "",
    "pause_reason": "",
}


@dataclass(frozen=True)
class Row:
    """One schedule. One of the timings; `columns` are those of the row itself."""

    name: str
    #: Seconds, or a number and its period.
    every: Any = None
    #: Five fields, and the zone they are read in.
    cron: str = ""
    zone: str = "UTC"
    clocked: datetime | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    #: Ours only.
    policy: dict[str, Any] = field(default_factory=dict)

    def statements(self, id: int, now: datetime) -> list[Statement]:
        """INSERTs of the timing and the row, both with this id."""
        table, timing = self._timing()
        made: list[Statement] = []
        if table:
            made.append(insert(f"django_celery_beat_{table}schedule", {"id": id, **timing}))
        columns = {**COLUMNS, "id": id, "name": self.name, "date_changed": now.strftime("%Y-%m-%d %H:%M:%S.%f")}
        if table:
            columns[f"{table}_id"] = id
        return [*made, insert("django_celery_beat_periodictask", {**columns, **self.columns})]

    def _timing(self) -> tuple[str, dict[str, Any]]:
        if self.every is not None:
            number, period = self.every if isinstance(self.every, tuple) else (self.every, "seconds")
            return "interval", {"every": number, "period": period}
        if self.cron:
            names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
            return "crontab", {**dict(zip(names, self.cron.split(), strict=True)), "timezone": self.zone}
        if self.clocked:
            return "clocked", {"clocked_time": self.clocked.strftime("%Y-%m-%d %H:%M:%S.%f")}
        return "", {}


def insert(table: str, values: dict[str, Any]) -> Statement:
    """One INSERT, with `?` marks."""
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", list(values.values())


#: What `PeriodicTask.save()` tells stock beats; ours needs no such word.
CHANGED = "INSERT INTO django_celery_beat_periodictasks (ident, last_update) VALUES (1, ?) " + (
    "ON CONFLICT (ident) DO UPDATE SET last_update = excluded.last_update"
)
