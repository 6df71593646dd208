"""The database: whether it answers, keeps what it commits, and has a connection for everybody."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from jobs.doctor.finding import About, Finding
from jobs.figures import workers_alive
from jobs.lifecycle.moment import now
from jobs.models import Job

ABOUT = About("database")
#: What PostgreSQL is asked for, by SHOW.
ASKED = (
    "fsync synchronous_commit full_page_writes max_connections superuser_reserved_connections transaction_isolation "
    "transaction_read_only idle_in_transaction_session_timeout"
).split()
#: A beat holds one connection for its schedules and one for its clock; two beats are usual.
BEATS, PER_BEAT = 2, 2
CONNECTIONS_WARNING = 0.80


@dataclass(frozen=True)
class Facts:
    """What is so with the database."""

    vendor: str
    debug: bool
    #: PostgreSQL: what SHOW says; SQLite: journal_mode, synchronous.
    settings: dict[str, str] = field(default_factory=dict)
    #: Names of migrations that were not applied.
    unapplied: tuple[str, ...] = ()
    #: Seconds that the database's clock is ahead of this host's.
    skew: float = 0
    #: Connections that are open now, and that the live workers, beats and web want at most.
    connected: int = 0
    wanted: int = 0
    #: A pooler (PgBouncer) stands between: many clients share few connections.
    pooled: bool = False


def examine() -> Iterator[Finding]:
    """Raises nothing when the database is away: that is the finding."""
    using = router.db_for_write(Job)
    try:
        facts = gather(using)
    except (DatabaseError, InterfaceError) as error:
        connections[using].close()
        yield ABOUT.error(
            "unreachable", f"The database does not answer: {_first_line(error)}.", "Start it, or mend DATABASE_URL."
        )
    else:
        yield from findings(facts)


def gather(using: str) -> Facts:
    """Raises DatabaseError."""
    vendor = connections[using].vendor
    unapplied = _unapplied(using)
    return Facts(
        vendor=vendor,
        debug=settings.DEBUG,
        settings=_shown(using) if vendor == "postgresql" else _pragmas(using),
        unapplied=unapplied,
        skew=_skew(using),
        connected=_connected(using) if vendor == "postgresql" else 0,
        wanted=0 if unapplied else _wanted(),
        pooled=vendor == "postgresql" and _pooled(using),
    )


def findings(facts: Facts) -> Iterator[Finding]:
    own = _postgresql(facts) if facts.vendor == "postgresql" else _sqlite(facts)
    found = [*_migrations(facts), *own, *ABOUT.skew("this host", facts.skew)]
    yield from found or [ABOUT.fine(_summary(facts))]


def _migrations(facts: Facts) -> Iterator[Finding]:
    if facts.unapplied:
        names = ", ".join(facts.unapplied[:3]) + (", ..." if len(facts.unapplied) > 3 else "")
        yield ABOUT.error(
            "migrations", f"{len(facts.unapplied)} migrations are missing: {names}.", "Run manage.py migrate."
        )


def _postgresql(facts: Facts) -> Iterator[Finding]:
    shown = facts.settings
    for name, cost in (
        ("fsync", "a power cut may destroy the whole database"),
        ("synchronous_commit", "a crash of PostgreSQL loses jobs that were just accepted"),
    ):
        if shown.get(name) == "off":
            yield ABOUT.error(name, f"{name} is off: {cost}.", f"Set {name} = on in postgresql.conf.")
    if shown.get("full_page_writes") == "off":
        yield ABOUT.warning(
            "full_page_writes",
            "full_page_writes is off: on most file systems a power cut may tear pages.",
            "Set it on, unless the storage writes whole pages (ZFS, some managed ones).",
        )
    if shown.get("transaction_read_only") == "on":
        yield ABOUT.error("read_only", "The database is read-only (a standby?).", "Let DATABASE_URL name the primary.")
    if (isolation := shown.get("transaction_isolation", "read committed")) != "read committed":
        yield ABOUT.warning(
            "isolation",
            f"Transactions are {isolation}: moves that race end in errors instead of waiting.",
            "Set default_transaction_isolation = 'read committed'.",
        )
    if shown.get("idle_in_transaction_session_timeout") == "0":
        yield ABOUT.warning(
            "idle_in_transaction",
            "A worker that freezes, or is cut off, in the middle of a transaction keeps its rows locked for hours.",
            "Set idle_in_transaction_session_timeout = 60s in postgresql.conf.",
        )
    yield from _room(facts)


def _room(facts: Facts) -> Iterator[Finding]:
    shown = facts.settings
    room = int(shown.get("max_connections", 0)) - int(shown.get("superuser_reserved_connections", 0))
    advice = "Raise max_connections, lower the concurrency, or put PgBouncer (transaction mode) between."
    if facts.pooled:
        advice = "Raise max_connections, or make the pools of PgBouncer smaller."
    if room > 0 and facts.connected > CONNECTIONS_WARNING * room:
        yield ABOUT.warning("connected", f"{facts.connected} of {room} connections are in use.", advice)
    elif 0 < room < facts.wanted and not facts.pooled:
        says = f"Workers, web and beats may want {facts.wanted} connections at once; PostgreSQL has {room}."
        yield ABOUT.warning("connections", says, advice)


def _sqlite(facts: Facts) -> Iterator[Finding]:
    if not facts.debug:
        yield ABOUT.warning(
            "sqlite",
            "SQLite serves one host, and one writer at a time.",
            "Set DATABASE_URL to a PostgreSQL in production.",
        )
    if facts.settings.get("journal_mode") != "wal":
        yield ABOUT.warning(
            "journal", "SQLite does not write ahead (WAL): readers block writers.", "PRAGMA journal_mode=WAL"
        )
    if facts.settings.get("synchronous") == "0":
        says = "SQLite does not wait for the disk: a power cut loses accepted jobs, or the file."
        yield ABOUT.error("synchronous", says, "PRAGMA synchronous=NORMAL, or FULL")


def _summary(facts: Facts) -> str:
    if facts.vendor != "postgresql":
        return f"SQLite answers: journal {facts.settings.get('journal_mode')}, every migration is applied."
    room = facts.settings.get("max_connections", "?")
    wanted = f"{facts.wanted} may be wanted{' of its pooler' if facts.pooled else ''}"
    used = f"{facts.connected} of {room} connections are open, {wanted}"
    return f"PostgreSQL answers: {used}; every migration is applied."


def _unapplied(using: str) -> tuple[str, ...]:
    executor = MigrationExecutor(connections[using])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan)


def _shown(using: str) -> dict[str, str]:
    with connections[using].cursor() as cursor:
        return {name: str(_one(cursor, f"SHOW {name}")) for name in ASKED}


def _pragmas(using: str) -> dict[str, str]:
    with connections[using].cursor() as cursor:
        return {name: str(_one(cursor, f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}


def _connected(using: str) -> int:
    with connections[using].cursor() as cursor:
        return int(_one(cursor, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))


def _pooled(using: str) -> bool:
    """Whether who answers is not who let us in: the server's process id is not the one told at the connect."""
    with connections[using].cursor() as cursor:
        answers = _one(cursor, "SELECT pg_backend_pid()")
    return bool(answers != connections[using].connection.info.backend_pid)


def _skew(using: str) -> float:
    """The database's clock against the middle of the question."""
    before, clock = timezone.now(), time.monotonic()
    told = now(using)
    return (told - before).total_seconds() - (time.monotonic() - clock) / 2


def _wanted() -> int:
    """A worker holds one connection for each process, and one for its heartbeat."""
    workers = sum(worker.concurrency + 1 for worker in workers_alive())
    return workers + settings.WEB_PROCESSES * settings.WEB_THREADS + BEATS * PER_BEAT


def _one(cursor: Any, query: str) -> Any:
    cursor.execute(query)
    return cursor.fetchone()[0]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
