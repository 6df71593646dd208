"""What every measurement stands on: a PostgreSQL and a Valkey that keep what they take, and a word on the terminal."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

#: As in production.
DURABLE = "fsync=on synchronous_commit=on max_connections=100 unix_socket_directories="


@contextmanager
def servers() -> Iterator[tuple[PostgresServer, ValkeyServer]]:
    """Both, running; they start and end here."""
    with ExitStack() as end:
        progress("starting PostgreSQL and Valkey")
        postgres = PostgresServer(settings=DURABLE)
        end.callback(postgres.remove)
        valkey = ValkeyServer()
        end.callback(valkey.remove)
        yield postgres.start(), valkey.start()


def progress(text: str, end: str = "") -> None:
    """One line on a terminal's standard error; elsewhere only what is finished."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end=end, file=sys.stderr, flush=True)
    elif end:
        print(text, file=sys.stderr, flush=True)
