"""Stock django-celery-beat and ours, ready to be set beside one another: database, Valkey, clock, processes."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.arrivals import Arrivals
from bench.rows import CHANGED, POLICY, Row, Statement, insert
from tests.support.environment import environment
from tests.support.postgres import PostgresServer
from tests.support.processes import ROOT, Process
from tests.support.skewing import skewed
from tests.support.valkey import ValkeyServer

#: Time constants of ours, unless a case says otherwise.
SCALE = "0.1"


class Side:
    """One way to keep schedules, on a database and a Valkey of its own. Its clock is the host's until it is set."""

    name: str
    #: What `celery -A` takes, and the Django settings.
    app: str
    settings: str
    #: The Redis list of what it sends.
    line: str
    level = "INFO"
    #: The edits that its beat sees by itself, and whether its intervals count from their beginning.
    sees: tuple[str, ...]
    anchored: bool

    def __init__(self, template: Path, postgres: Callable[[], PostgresServer], scale: str = SCALE) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="stationmaster-bench-"))
        self.template, self.server = template, postgres
        self.file = self.data / "schedules.sqlite3"
        self.database_url = f"sqlite:///{self.file}"
        self.valkey = ValkeyServer(directory=self.data / "valkey")
        self.valkey.directory.mkdir()
        self.scale, self.ahead, self.rows = scale, 0.0, 0
        self.processes: list[Process] = []
        self.arrivals = Arrivals(self)

    # --- ground ---

    def prepare(self) -> "Side":
        """Valkey runs, the database is migrated (a copy of one that was migrated once)."""
        self.valkey.start()
        if not self.template.exists():
            self._migrate(f"sqlite:///{self.template}")
        shutil.copy(self.template, self.file)
        self.arrivals.start()
        return self

    def on_postgres(self) -> None:
        """From now on: a database on a server whose clock no process can turn."""
        self.database_url = self.server().create_database(f"{self.app.replace('.', '_')}_{self.valkey.port}")
        self._migrate(self.database_url)

    def remove(self) -> None:
        """End every process and delete all data."""
        for process in self.processes:
            process.kill()
        self.arrivals.end()
        self.valkey.remove()
        if self.database_url.startswith("postgres"):
            self.server().drop_database(self.database_url.rpartition("/")[2])
        shutil.rmtree(self.data, ignore_errors=True)

    # --- the clock ---

    def turn(self, to: datetime) -> None:
        """Processes started from now on read this time; it goes on as the host's does."""
        self.ahead = to.timestamp() - time.time()

    def now(self) -> datetime:
        """What its clock shows."""
        return datetime.fromtimestamp(time.time() + self.ahead, UTC)

    @property
    def env(self) -> dict[str, str]:
        return {
            **environment(self.data, self.database_url, self.valkey.url, JOBS_TIME_SCALE=self.scale),
            "PYTHONPATH": str(ROOT),
            **(skewed(f"{self.ahead:+.3f}") if self.ahead else {}),
            "DJANGO_SETTINGS_MODULE": self.settings,
            "JOBS_TASK_MODULES": "bench.noop,bench.slow",
            "LOG_LEVEL": self.level,
        }

    # --- processes ---

    def beat(self) -> Process:
        """A beat that has begun its loop."""
        return self._ready(self.start("beat"), "beat: Starting")

    def worker(self, concurrency: int) -> Process:
        """A worker that is ready."""
        return self._ready(self.start("worker", "-Q", "default", "-c", str(concurrency)), " ready.")

    def start(self, kind: str, *options: str) -> Process:
        """A beat or a worker, just started."""
        log = self.data / f"{kind}-{len(self.processes)}.log"
        command = [sys.executable, "-m", "celery", "-A", self.app, kind, *options, "-l", self.level]
        if kind == "beat":
            command += ["--pidfile="]
        process = Process(f"{self.name} {kind}", command, log, env=self.env, cwd=ROOT)
        self.processes.append(process)
        return process

    def up(self, at: datetime, seconds: float) -> Process:
        """A beat that runs from `at` on for so long, and is then stopped."""
        self.turn(at)
        beat = self.beat()
        self.until(at, seconds)
        beat.stop()
        return beat

    def until(self, at: datetime, seconds: float) -> None:
        """Wait until its clock shows `at` and so many seconds."""
        time.sleep(max(0.0, at.timestamp() + seconds - self.now().timestamp()))

    def shell(self, code: str) -> str:
        """Run Python with its Django set up; what it printed."""
        preamble = "import django; django.setup()\nfrom django_celery_beat.models import *\n"
        return self._python("-c", preamble + code)

    # --- rows ---

    def add(self, *rows: Row) -> None:
        """Insert schedules with plain SQL, at the time that its clock shows."""
        statements: list[Statement] = []
        for row in rows:
            self.rows += 1
            statements += row.statements(1000 + self.rows, self.now()) + self.policies(1000 + self.rows, row)
        self.sql(*statements, (CHANGED, [self.now().strftime("%Y-%m-%d %H:%M:%S.%f")]))

    def policies(self, id: int, row: Row) -> list[Statement]:
        """What beside the row itself tells its policy."""
        return []

    def sql(self, *statements: Statement) -> list[dict[str, Any]]:
        """Execute them in one transaction, marks as `?`; the rows of the last."""
        if self.database_url.startswith("sqlite"):
            done: list[dict[str, Any]] = json.loads(
                self._python("-m", "bench.execute", str(self.file), input=json.dumps(statements))
            )
            return done
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            for statement, values in statements:
                cursor = connection.execute(statement.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []

    def told(self, name: str) -> str:
        """What it says of a schedule that it can't keep; "" for nothing."""
        raise NotImplementedError

    def unread(self) -> int:
        """Edits that its beat has not read yet, as far as anybody can know."""
        return 0

    # --- helpers ---

    def _ready(self, process: Process, word: str) -> Process:
        """As soon as it has logged this word, or ended."""
        deadline = time.monotonic() + 60
        while word not in process.output() and process.running and time.monotonic() < deadline:
            time.sleep(0.05)
        return process

    def _migrate(self, url: str) -> None:
        self._python("-m", "django", "migrate", "--verbosity", "0", env={**self.env, "DATABASE_URL": url})

    def _python(self, *args: str, input: str | None = None, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [sys.executable, *args],
            cwd=ROOT,
            env=env or self.env,
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{self.name}: {args[0:2]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


class Stock(Side):
    """Plain Celery and django_celery_beat.schedulers:DatabaseScheduler."""

    name = "stock"
    app, settings = "bench.stock", "bench.stock_settings"
    line = "default"
    sees, anchored = ("save()",), False

    def told(self, name: str) -> str:
        """Its log is all that it has, and it may disable a row."""
        (row,) = self.sql(("SELECT enabled FROM django_celery_beat_periodictask WHERE name = ?", [name]))
        lines = [line for process in self.processes for line in process.output().splitlines()]
        logged = any(name in line and "Sending" not in line for line in lines)
        return " and ".join([*(["logged"] if logged else []), *(["disabled"] if not row["enabled"] else [])])


class Ours(Side):
    """This project's beat, with its ledger."""

    name = "ours"
    app, settings = "config", "config.settings"
    line = "stationmaster:default\x06\x169"
    sees, anchored = ("save()", "queryset.update()", "raw SQL"), True

    def policies(self, id: int, row: Row) -> list[Statement]:
        if not row.policy:
            return []
        return [insert("jobs_schedulepolicy", {**POLICY, "schedule_id": id, **row.policy})]

    def told(self, name: str) -> str:
        standing = self.sql(("SELECT broken FROM jobs_schedulestanding WHERE name = ?", [name]))
        return str(standing[0]["broken"]) if standing else ""

    def unread(self) -> int:
        return int(self.sql(("SELECT count(*) AS n FROM jobs_scheduleedit", []))[0]["n"])
