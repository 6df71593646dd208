"""A migrated database for every station, copied from one that was migrated once."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.support.environment import environment
from tests.support.postgres import PostgresServer
from tests.support.processes import ROOT


class Databases:
    """Makes databases of the kinds "sqlite" and "postgres"; a server is started when the first is asked for."""

    def __init__(self, directory: Path, server: Callable[[], PostgresServer]) -> None:
        self.directory, self.server = directory, server
        self._templates: dict[str, str] = {}

    def create(self, kind: str, data: Path) -> str:
        """The DATABASE_URL of a fresh, migrated database; SQLite's file lies in `data`."""
        return self._copy_of_file(data) if kind == "sqlite" else self._copy_on_server()

    def remove(self, url: str) -> None:
        """Drop a server's database; a file goes with its directory."""
        if url.startswith("postgres"):
            self.server().start().drop_database(url.rpartition("/")[2])

    def _copy_of_file(self, data: Path) -> str:
        template = self.directory / "template.sqlite3"
        if not template.exists():
            self._migrate(f"sqlite:///{template}")
        target = data / "station.sqlite3"
        shutil.copy(template, target)
        return f"sqlite:///{target}"

    def _copy_on_server(self) -> str:
        server = self.server().start()
        if "postgres" not in self._templates:
            self._migrate(server.create_database("template_station"))
            self._templates["postgres"] = "template_station"
        return server.create_database(f"station_{uuid.uuid4().hex[:12]}", self._templates["postgres"])

    def _migrate(self, url: str) -> None:
        env = environment(self.directory, url, "redis://127.0.0.1:1/0")
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"migrate failed:\n{done.stdout}{done.stderr}"
