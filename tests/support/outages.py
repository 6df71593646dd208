"""Ways in which a database goes away: each lasts as long as its block, and is over when the block ends."""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psutil
import psycopg

from tests.support.processes import kill
from tests.support.station import Station

Outage = Callable[[Station], AbstractContextManager[None]]

#: Seconds between two rounds of cutting connections.
CUT_EVERY = 0.1


@contextmanager
def stopped(station: Station) -> Iterator[None]:
    """The server has crashed: connections break, new ones are refused."""
    server = station.databases.server()
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(station: Station) -> Iterator[None]:
    """The server stands still: it keeps its connections, takes new ones, and answers nobody."""
    pids = _frozen(station)
    try:
        yield
    finally:
        for pid in pids:
            kill(pid, signal.SIGCONT)


@contextmanager
def cut(station: Station) -> Iterator[None]:
    """Whoever connects is thrown out again at once."""
    over = threading.Event()
    cutter = threading.Thread(target=_cut_until, args=(station, over), daemon=True)
    cutter.start()
    try:
        yield
    finally:
        over.set()
        cutter.join()


@contextmanager
def locked(station: Station) -> Iterator[None]:
    """Somebody alters the table of jobs, and takes his time."""
    with psycopg.connect(station.database_url) as connection:
        connection.execute("LOCK TABLE jobs_job IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def read_only(station: Station) -> Iterator[None]:
    """The server takes no writes: it was demoted, and another one is not yet in its place."""
    _take_writes(station, False)
    try:
        yield
    finally:
        _take_writes(station, True)


@contextmanager
def write_locked(station: Station) -> Iterator[None]:
    """SQLite: somebody writes, and takes his time."""
    connection = sqlite3.connect(station.database_url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def away(station: Station, outage: Outage, seconds: float) -> None:
    """One outage of so many seconds."""
    with outage(station):
        time.sleep(seconds)


def cut_once(station: Station) -> int:
    """Every connection to the station's database is closed by the server; how many."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return len(station.sql(query))


def _cut_until(station: Station, over: threading.Event) -> None:
    while not over.wait(CUT_EVERY):
        cut_once(station)


def _take_writes(station: Station, taken: bool) -> None:
    """For every session, from its next transaction on."""
    station.sql(f"ALTER SYSTEM SET default_transaction_read_only = {'off' if taken else 'on'}")
    station.sql("SELECT pg_reload_conf()")


def _frozen(station: Station) -> list[int]:
    """The pids of the server's processes, stopped; the postmaster first, so that none is added."""
    server = station.databases.server().process
    assert server is not None
    server.pause()
    children = [child.pid for child in psutil.Process(server.pid).children(recursive=True)]
    for pid in children:
        kill(pid, signal.SIGSTOP)
    return [*children, server.pid]


#: By mechanism: what the client sees is another error, or none.
KINDS: dict[str, Outage] = {
    "stopped": stopped,
    "frozen": frozen,
    "cut": cut,
    "locked": locked,
    "read only": read_only,
}
