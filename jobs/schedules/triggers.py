"""Database triggers that write down every edit of a schedule, whoever makes it, for beat to read.

Through the admin, the ORM, `queryset.update()` or SQL by hand: it comes to the table, so the table tells it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections, transaction

TASK = "django_celery_beat_periodictask"
POLICY = "jobs_schedulepolicy"
EDITS = "jobs_scheduleedit"
#: The columns of a schedule that beat goes by. Not those that beat itself writes after each tick.
COLUMNS = (
    "name task interval_id crontab_id solar_id clocked_id args kwargs queue exchange routing_key headers priority "
    "expires expire_seconds one_off start_time enabled"
).split()
#: The tables of timings, and the column by which a schedule names its own.
TIMINGS = {
    "django_celery_beat_intervalschedule": ("interval_id", ["every", "period"]),
    "django_celery_beat_crontabschedule": (
        "crontab_id",
        ["minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone"],
    ),
    "django_celery_beat_clockedschedule": ("clocked_id", ["clocked_time"]),
    "django_celery_beat_solarschedule": ("solar_id", ["event", "latitude", "longitude"]),
}
POLICY_COLUMNS = "missed missed_limit max_lateness overlap jitter pause_after resume_at".split()


@dataclass(frozen=True)
class Trigger:
    """After which statement on which table; `columns`: of an update, whose change tells."""

    name: str
    event: str
    table: str
    columns: tuple[str, ...] = ()


def install(using: str) -> list[str]:
    """Make the triggers that are missing or of another version; their names."""
    kind, found = _KINDS[connections[using].vendor], _found(using)
    changed = [trigger for trigger in TRIGGERS if found.get(trigger.name) != _mark(kind.sql(trigger))]
    if changed:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            for statement in kind.before:
                cursor.execute(statement)
            for trigger in changed:
                for statement in kind.statements(trigger, known=trigger.name in found):
                    cursor.execute(statement)
    return [trigger.name for trigger in changed]


def missing(using: str) -> list[str]:
    """Names of the triggers that the database does not have as they should be: some edits are seen late."""
    kind, found = _KINDS[connections[using].vendor], _found(using)
    return [trigger.name for trigger in TRIGGERS if found.get(trigger.name) != _mark(kind.sql(trigger))]


def can_be_installed(using: str) -> bool:
    """Whether all tables are there (an older state of the migrations lacks some)."""
    return {TASK, POLICY, EDITS, *TIMINGS} <= set(connections[using].introspection.table_names())


TRIGGERS = (
    Trigger("jobs_schedule_made", "INSERT", TASK),
    Trigger("jobs_schedule_edited", "UPDATE", TASK, tuple(COLUMNS)),
    Trigger("jobs_schedule_deleted", "DELETE", TASK),
    *(
        Trigger(f"jobs_{table.removeprefix('django_celery_beat_')}_edited", "UPDATE", table, tuple(columns))
        for table, (_, columns) in TIMINGS.items()
    ),
    Trigger("jobs_policy_made", "INSERT", POLICY),
    Trigger("jobs_policy_edited", "UPDATE", POLICY, tuple(POLICY_COLUMNS)),
    Trigger("jobs_policy_deleted", "DELETE", POLICY),
)


class _Postgres:
    """One function for all; a trigger's comment says which version it is."""

    function = f"""
CREATE OR REPLACE FUNCTION jobs_schedule_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = '{TASK}' THEN
        IF TG_OP = 'DELETE' THEN
            INSERT INTO {EDITS} (schedule_id, kind, at) VALUES (OLD.id, 'deleted', clock_timestamp());
        ELSIF NEW.enabled AND (TG_OP = 'INSERT' OR NOT OLD.enabled) THEN
            INSERT INTO {EDITS} (schedule_id, kind, at) VALUES (NEW.id, 'enabled', clock_timestamp());
        ELSE
            INSERT INTO {EDITS} (schedule_id, kind, at) VALUES (NEW.id, 'edited', clock_timestamp());
        END IF;
    ELSIF TG_TABLE_NAME = '{POLICY}' THEN
        INSERT INTO {EDITS} (schedule_id, kind, at)
        VALUES (COALESCE(NEW.schedule_id, OLD.schedule_id), 'edited', clock_timestamp());
    ELSE
        EXECUTE format(
            'INSERT INTO {EDITS} (schedule_id, kind, at) SELECT id, ''edited'', clock_timestamp() '
            'FROM {TASK} WHERE %I = $1', TG_ARGV[0]
        ) USING NEW.id;
    END IF;
    RETURN NULL;
END $$"""
    before = (function,)
    found = (
        "SELECT tgname, obj_description(oid, 'pg_trigger') FROM pg_trigger "
        "WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY(%s)"
    )

    def sql(self, trigger: Trigger) -> str:
        """With the function's text, so that another function is another version."""
        return f"{self.created(trigger)} -- {self.function}"

    def created(self, trigger: Trigger) -> str:
        of = f" OF {', '.join(trigger.columns)}" if trigger.columns else ""
        changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in trigger.columns)
        key = f"'{TIMINGS[trigger.table][0]}'" if trigger.table in TIMINGS else ""
        return (
            f"CREATE TRIGGER {trigger.name} AFTER {trigger.event}{of} ON {trigger.table} FOR EACH ROW "
            f"{f'WHEN ({changed}) ' if changed else ''}EXECUTE FUNCTION jobs_schedule_edit({key})"
        )

    def statements(self, trigger: Trigger, *, known: bool) -> Iterator[str]:
        if known:
            yield f"DROP TRIGGER {trigger.name} ON {trigger.table}"
        yield self.created(trigger)
        yield f"COMMENT ON TRIGGER {trigger.name} ON {trigger.table} IS '{_mark(self.sql(trigger))}'"


class _Sqlite:
    """Each trigger holds its statement; the schema table keeps its text."""

    before = ()
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"

    def sql(self, trigger: Trigger) -> str:
        of = f" OF {', '.join(trigger.columns)}" if trigger.columns else ""
        changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in trigger.columns)
        return (
            f"CREATE TRIGGER {trigger.name} AFTER {trigger.event}{of} ON {trigger.table} FOR EACH ROW "
            f"{f'WHEN {changed} ' if changed else ''}BEGIN "
            f"INSERT INTO {EDITS} (schedule_id, kind, at) {self.noted(trigger)}; END"
        )

    def noted(self, trigger: Trigger) -> str:
        if trigger.table in TIMINGS:
            return f"SELECT id, 'edited', {self.now} FROM {TASK} WHERE {TIMINGS[trigger.table][0]} = NEW.id"
        row = "OLD" if trigger.event == "DELETE" else "NEW"
        if trigger.table == POLICY:
            return f"VALUES ({row}.schedule_id, 'edited', {self.now})"
        if trigger.event == "DELETE":
            return f"VALUES (OLD.id, 'deleted', {self.now})"
        enabled = "NEW.enabled" if trigger.event == "INSERT" else "NEW.enabled AND NOT OLD.enabled"
        return f"VALUES (NEW.id, CASE WHEN {enabled} THEN 'enabled' ELSE 'edited' END, {self.now})"

    def statements(self, trigger: Trigger, *, known: bool) -> Iterator[str]:
        if known:
            yield f"DROP TRIGGER {trigger.name}"
        yield self.sql(trigger)


_KINDS: dict[str, _Postgres | _Sqlite] = {"postgresql": _Postgres(), "sqlite": _Sqlite()}


def _found(using: str) -> dict[str, str]:
    """The marks of the triggers that the database has, by name."""
    connection = connections[using]
    postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(_KINDS[connection.vendor].found, [[TASK, POLICY, *TIMINGS]] if postgres else [])
        rows = cursor.fetchall()
    return {name: text or "" if postgres else _mark(text) for name, text in rows}


def _mark(sql: str) -> str:
    """A short name of this version."""
    return hashlib.sha256(sql.encode()).hexdigest()[:16]
