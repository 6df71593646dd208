"""`make run` as a person starts it: in a clean environment, with a data directory and a port of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.environment import OURS
from tests.support.processes import ROOT, Process, free_port, kill
from tests.support.rows import Row, rows
from tests.support.waiting import wait_for

TASKS = "tests.plain_tasks,tests.support.detaching"
#: What a make that runs the tests would tell the make under test.
MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")


class Made:
    """One data directory and what `make run` starts on it."""

    def __init__(self, **environment: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="stationmaster-make-run-"))
        self.data, self.home = self.directory / "data", self.directory / "home"
        self.home.mkdir()
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in (*OURS, *MAKE)},
            "HOME": str(self.home),
            "DATA_DIR": str(self.data),
            "JOURNAL": str(self.directory / "journal"),
            "JOBS_TASK_MODULES": TASKS,
            **environment,
        }
        self.process: Process | None = None
        self.starts = 0

    @property
    def url(self) -> str:
        return f"http://{self.environment.get('HOST', '127.0.0.1')}:{self.port}"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.data / 'stationmaster.sqlite3'}"

    # --- starting and stopping ---

    def command(self, *more: str) -> list[str]:
        """The environment that runs the tests is the one it uses: nothing is installed twice."""
        return ["make", "run", f"VENV={sys.prefix}", f"PORT={self.port}", *more]

    def start(self) -> "Made":
        """Start it; returns when it has said that it runs."""
        self.starts += 1
        log = self.directory / f"run-{self.starts}.log"
        self.process = Process(f"run-{self.starts}", self.command(), log, env=self.environment)
        wait_for(self._says_so, 90, "make run to say that it runs")
        return self

    def start_in_vain(self, *more: str) -> "subprocess.CompletedProcess[str]":
        """A start that is refused."""
        return subprocess.run(
            self.command(*more), cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def press_ctrl_c(self) -> float:
        """What a terminal does: SIGINT to make and what runs in its group; seconds until both have ended."""
        assert self.process is not None
        started, supervisor = time.monotonic(), self.supervisor
        os.killpg(self.process.pid, signal.SIGINT)
        wait_for(lambda: not psutil.pid_exists(supervisor) and not self.process.running, 45, "make run to end")  # type: ignore[union-attr]
        return time.monotonic() - started

    def remove(self) -> None:
        if self.process is not None:
            self.process.kill()
        for pid in self.pids():
            kill(pid)
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- looking ---

    def output(self) -> str:
        """What the latest start wrote."""
        assert self.process is not None
        return self.process.output()

    def said(self, pattern: str) -> str:
        """The first group of a pattern in the output."""
        found = re.search(pattern, self.output())
        assert found, f"nothing like {pattern!r} in:\n{self.output()[-6000:]}"
        return found.group(1)

    @property
    def supervisor(self) -> int:
        return int(json.loads((self.data / "run.lock").read_text())["pid"])

    def pids(self) -> list[int]:
        """Every process that has this data directory in its environment, make and the supervisor too."""
        return [process.pid for process in psutil.process_iter() if self._has(process)]

    def running(self, words: str) -> int:
        """The pid of the oldest process of ours whose command line holds these words."""
        found = [process for process in psutil.process_iter(["cmdline", "create_time"]) if self._has(process)]
        named = [process for process in found if words in " ".join(process.info["cmdline"] or ())]
        assert named, f"no process with {words!r} among {[process.info['cmdline'] for process in found]}"
        return int(min(named, key=lambda process: (process.info["create_time"], process.pid)).pid)

    def jobs(self, task: str) -> list[Row]:
        return rows(self.database_url, "SELECT * FROM jobs_job WHERE task = %s ORDER BY created_at", [task])

    # --- doing ---

    def manage(self, *args: str) -> "subprocess.CompletedProcess[str]":
        """`manage.py ...` in another shell with the same environment."""
        command = [sys.executable, "manage.py", *args]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def post(self, path: str, body: dict[str, Any], token: str) -> str:
        """Post a job by HTTP; its id."""
        answer = httpx.post(f"{self.url}{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    def ended(self, id: str, token: str) -> dict[str, Any]:
        """The job as the API tells it, once it has ended."""
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(f"{self.url}/tasks/{id}?wait=30", headers=headers, timeout=40)
        return dict(answer.json())

    def _says_so(self) -> bool:
        assert self.process is not None
        assert self.process.running, f"make run ended:\n{self.output()[-6000:]}"
        return "Stationmaster is running." in self.output()

    def _has(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("DATA_DIR") == str(self.data) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False
