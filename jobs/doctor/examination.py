"""Every subject in its turn; one that can't be examined keeps no other from it."""

from collections.abc import Callable, Iterator
from functools import partial

from django.db import DatabaseError, InterfaceError, connections

from jobs.doctor import beat, broker, checks, container, database, schedules, workers
from jobs.doctor.finding import About, Finding

Examine = Callable[[], Iterator[Finding]]

#: Those that ask the database, by subject. Other apps add theirs.
BY_TABLE: dict[str, Examine] = {
    "workers": workers.examine,
    "beat": beat.examine,
    "schedules": schedules.examine,
}


def examine() -> Iterator[Finding]:
    """Every finding, subject by subject."""
    yield from _tried("settings", checks.examine)
    yield from _tried("container", container.examine)
    yield from _tried("broker", broker.examine)
    found = list(_tried("database", database.examine))
    yield from found
    away = {finding.code for finding in found} & {"database.unreachable", "database.migrations", "database.failed"}
    for subject, ask in BY_TABLE.items():
        yield from _tried(subject, partial(_unasked, subject) if away else ask)


def _tried(subject: str, ask: Examine) -> list[Finding]:
    try:
        return list(ask())
    except (DatabaseError, InterfaceError) as error:
        connections.close_all()
        return [_failed(subject, error)]
    except Exception as error:  # noqa: BLE001  what hinders the examination is a finding
        return [_failed(subject, error)]


def _failed(subject: str, error: Exception) -> Finding:
    says = f"It can't be examined: {type(error).__name__}: {' '.join(str(error).split())}"
    return About(subject).error("failed", says, "Mend that, and ask again.")


def _unasked(subject: str) -> Iterator[Finding]:
    yield About(subject).info("unasked", "Not examined: the database has to answer, and be migrated.")
