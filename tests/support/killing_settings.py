"""The project's settings, with a beat that kills itself after a statement of a tick's transaction.

KILLS names a file that holds the number of the next statement that is to be the last, or a part of it. Each beat that
finds a tick due counts its statements, writes the next number into the file and ends at its own: SIGKILL after that
statement, or, when there are no more, after the commit and before anything else. One that gets through a whole
transaction and what follows writes `over`. Without the file nobody dies. With FREEZES the first one freezes there
instead, and nobody after it. With PREPARED only transactions that find ticks prepared before their moment count, from
the statement that finds them.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from config.settings import *  # noqa: F403

KILLS, FREEZES, PREPARED = Path(os.environ["KILLS"]), "FREEZES" in os.environ, "PREPARED" in os.environ
#: The statement of a tick that was prepared: whether anything has changed since.
LOOK = "AS task JOIN jobs_schedulestanding"
#: Whose transaction is counted: the function that settles what is due.
MODULE, FUNCTION = "jobs.ticking.firing", "_settle"
OVER = "over"


class Counting:
    """The statements of the transaction that is under way."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.count, self.counting, self.ticks = 0, False, False
        self.committing = connection._commit  # type: ignore[attr-defined]
        connection.execute_wrappers.append(self.execute)
        connection._commit = self.commit  # type: ignore[attr-defined]

    def execute(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        done = execute(sql, params, many, context)
        if self.connection.in_atomic_block and _keeps():
            self.counting = self.counting or not PREPARED or LOOK in sql
            self.count += self.counting
            self.ticks = self.ticks or sql.startswith("INSERT INTO jobs_scheduletick")
            if self.counting:
                self.end_at(self.count, sql)
        return done

    def commit(self) -> None:
        self.committing()
        counted, ticks, self.count, self.counting, self.ticks = self.count, self.ticks, 0, False, False
        if ticks and counted:
            self.end_at(counted + 1, "COMMIT")
            if _wanted().isdigit():
                KILLS.write_text(OVER)

    def end_at(self, number: int, statement: str) -> None:
        wanted = _wanted()
        if wanted == str(number) if wanted.isdigit() else wanted != OVER and wanted in statement:
            print(f"{'frozen' if FREEZES else 'killed'} after statement {number}: {statement[:300]}", flush=True)
            KILLS.write_text(str(number + 1) if wanted.isdigit() and not FREEZES else OVER)
            os.kill(os.getpid(), signal.SIGSTOP if FREEZES else signal.SIGKILL)


def _wanted() -> str:
    return (KILLS.read_text() if KILLS.exists() else "") or OVER


def _keeps() -> bool:
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == FUNCTION and frame.f_globals.get("__name__") == MODULE:
            return True
    return False


def count(connection: BaseDatabaseWrapper, **_: Any) -> None:
    Counting(connection)


connection_created.connect(count)
