"""The database stands still, or closes the connections of our processes."""

from jobs.conf import conf
from jobs.drill.faults.fault import Fault
from jobs.drill.ground import Ground

#: Seconds that it stands still: at least as long as the first outage of the promise.
LEAST, MOST = 2.0, 4.0


def table_locked(ground: Ground) -> None:
    """Nobody can read or write a job (PostgreSQL)."""
    _held(ground, "BEGIN", "LOCK TABLE jobs_job IN ACCESS EXCLUSIVE MODE")


def write_lock_held(ground: Ground) -> None:
    """Nobody can write (SQLite)."""
    _held(ground, "BEGIN IMMEDIATE")


def cut(ground: Ground) -> int:
    """The server ends every connection of our processes (PostgreSQL); they carry the run's name."""
    end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    return _once(ground, end_all, [ground.crew.environment["PGAPPNAME"]])


def _held(ground: Ground, *statements: str) -> None:
    connection = ground.connection()
    try:
        connection.ensure_connection()
        for statement in statements:
            connection.connection.execute(statement)
        ground.hold(LEAST, MOST + conf().heartbeat)
    finally:
        connection.close()


def _once(ground: Ground, statement: str, parameters: list[str]) -> int:
    """Do it on a connection of its own; how many rows it spoke of."""
    connection = ground.connection()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.rowcount)
    finally:
        connection.close()


FAULTS = [
    Fault("database table locked", table_locked, lambda ground: ground.vendor == "postgresql"),
    Fault("our database connections cut", cut, lambda ground: ground.vendor == "postgresql"),
    Fault("database write lock held", write_lock_held, lambda ground: ground.vendor == "sqlite"),
]
