"""How many SQL statements a beat sends, counted by the server that it sends them to."""

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import PostgresServer

#: For the server: who said it, in which database.
PREFIX = "log_line_prefix=%p|%d|"
LINE = re.compile(r"^(\d+)\|(\w+)\|LOG:  (?:statement|execute [^:]*): (.*)$", re.MULTILINE)
#: Only who keeps ticks asks for these.
TICKING = re.compile(r"jobs_schedulestanding|django_celery_beat_periodictask")


@dataclass(frozen=True)
class Statements:
    """A second, on average: all of them, and those of the connection that keeps the ticks."""

    all: float
    ticking: float
    #: Those of the ticking connection, by their first words, the most frequent first.
    said: list[tuple[str, int]]


def listen(postgres: PostgresServer, database: str, seconds: float) -> Statements:
    """Count for so long, in one database in which nobody but the beat is connected."""
    log = postgres.directory / "postgres.log"
    _log(postgres, "all")
    begin = log.stat().st_size
    time.sleep(seconds)
    text = _from(log, begin)
    _log(postgres, "none")
    return _counted(text, database, seconds)


def _counted(text: str, database: str, seconds: float) -> Statements:
    said = [(pid, statement) for pid, name, statement in LINE.findall(text) if name == database]
    keepers = {pid for pid, statement in said if TICKING.search(statement)}
    words = Counter(" ".join(statement.split()[:6]) for pid, statement in said if pid in keepers)
    return Statements(len(said) / seconds, sum(words.values()) / seconds, words.most_common(8))


def _log(postgres: PostgresServer, which: str) -> None:
    with postgres.connect() as connection:
        connection.execute(f"ALTER SYSTEM SET log_statement = '{which}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)


def _from(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace")
