"""What is to be done for the schedules: asked of the database by one statement, kept in memory until the next."""

import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections
from django.utils.dateparse import parse_datetime

from jobs.conf import conf
from jobs.lifecycle.moment import moment
from jobs.states import LIVE
from jobs.ticking.watch import Watch

#: More than so many edits or wakes wait for the next look, which then comes at once.
MOST = 2000
LIVE_STATES = ", ".join(f"'{state}'" for state in LIVE)


class Agenda:
    """Schedules by what they wait for: their time, the reading of an edit, the end of a job that a tick waits for."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.watch = Watch()
        self.wakes: dict[int, datetime] = {}
        self.edited: dict[int, None] = {}
        self.free: dict[int, None] = {}
        #: They waited in vain for a lock, as all that are settled with them do: from when on (monotonic seconds) they
        #: are tried again, each by itself.
        self.stuck: dict[int, float] = {}
        #: There is more than one look told.
        self.more = False

    def look(self) -> None:
        """Ask the database: its time, unread edits, who wakes within `look_ahead`, whose waiting tick is free."""
        sql, params = _question(self.using)
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql, params)
            told = cursor.fetchall()
        by_kind: dict[str, list[tuple[int, Any]]] = {"now": [], "wake": [], "edit": [], "free": []}
        for kind, schedule, at in told:
            by_kind[kind].append((schedule, at))
        self.watch.set(_aware(by_kind["now"][0][1]))
        self.wakes = {schedule: _aware(at) for schedule, at in by_kind["wake"]}
        self.edited = dict.fromkeys(schedule for schedule, _ in by_kind["edit"])
        self.free = dict.fromkeys(schedule for schedule, _ in by_kind["free"])
        self._leave_out(self.stuck)
        self.more = len(self.wakes) >= MOST or len(by_kind["edit"]) >= MOST

    def due(self) -> list[int]:
        """Whose time has come, the longest due first."""
        now = self.watch.now()
        return sorted((i for i, at in self.wakes.items() if at <= now), key=self.wakes.__getitem__)

    def until_next(self) -> float:
        """Seconds until the next one is due; infinity if none is known."""
        return min((self.watch.until(at) for at in self.wakes.values()), default=float("inf"))

    def done(self, ids: Collection[int], wakes: dict[int, datetime | None]) -> None:
        """These are settled; when they wake next, if it is before the look after the next."""
        soon = self.watch.now() + timedelta(seconds=conf().look_ahead)
        self._leave_out(ids)
        for schedule in ids:
            self.stuck.pop(schedule, None)
        self.wakes.update({schedule: at for schedule, at in wakes.items() if at is not None and at <= soon})

    def put_off(self, ids: Iterable[int], seconds: float) -> None:
        """Somebody has these locked: they are tried again soon."""
        for schedule in ids:
            self.edited.pop(schedule, None)
            self.free.pop(schedule, None)
            self.wakes[schedule] = self.watch.now() + timedelta(seconds=seconds)

    def set_aside(self, ids: Collection[int], seconds: float) -> None:
        """What these need is locked for long: they keep nobody else waiting."""
        self._leave_out(ids)
        self.stuck.update(dict.fromkeys(ids, time.monotonic() + seconds))

    def set_free(self) -> list[int]:
        """One that was set aside for long enough, if there is one."""
        return [schedule for schedule, until in self.stuck.items() if until <= time.monotonic()][:1]

    def _leave_out(self, ids: Iterable[int]) -> None:
        for schedule in ids:
            for waiting in (self.wakes, self.edited, self.free):
                waiting.pop(schedule, None)


def _question(using: str) -> tuple[str, list[Any]]:
    """On PostgreSQL the limit is a stable time, which an index can be searched for."""
    now, at = moment(using)
    ahead, ahead_at = moment(using, conf().look_ahead)
    if connections[using].vendor == "postgresql":
        ahead = ahead.replace("clock_timestamp()", "statement_timestamp()")
    return (
        f"SELECT 'now', 0, {now} "
        "UNION ALL SELECT 'wake', schedule_id, wake_at FROM "
        f"(SELECT schedule_id, wake_at FROM jobs_schedulestanding WHERE wake_at <= {ahead} "
        f"ORDER BY wake_at LIMIT {MOST}) AS wakes "
        "UNION ALL SELECT 'edit', schedule_id, at FROM "
        f"(SELECT schedule_id, at FROM jobs_scheduleedit ORDER BY id LIMIT {MOST}) AS edits "
        "UNION ALL SELECT 'free', schedule_id, waiting_tick FROM jobs_schedulestanding AS standing "
        "WHERE waiting_tick IS NOT NULL AND NOT EXISTS "
        f"(SELECT 1 FROM jobs_job WHERE schedule = standing.name AND state IN ({LIVE_STATES}))"
    ), [*at, *ahead_at]


def _aware(value: Any) -> datetime:
    """A time as the driver gives it: SQLite has text, without a zone."""
    told = parse_datetime(value) if isinstance(value, str) else value
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)  # type: ignore[union-attr]
