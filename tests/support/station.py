"""A whole running system for an acceptance test: its own database, Valkey, data and processes."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar

import httpx

from tests.support import calls
from tests.support.console import Console
from tests.support.databases import Databases
from tests.support.environment import environment
from tests.support.processes import ROOT, Process, free_port
from tests.support.rows import Row, rows
from tests.support.valkey import ValkeyServer
from tests.support.waiting import PATIENCE, wait_for

P = ParamSpec("P")
T = TypeVar("T")

ENDED = ("succeeded", "dead", "cancelled", "expired")


class Station:
    """One Stationmaster. Starts nothing but its Valkey until it is asked for a worker, a beat or the web."""

    #: Those that were not removed yet: a failed test shows their logs.
    alive: ClassVar[list["Station"]] = []

    def __init__(self, kind: str, databases: Databases, more: Mapping[str, str] | None = None) -> None:
        self.kind, self.databases = kind, databases
        self.data = Path(tempfile.mkdtemp(prefix=f"stationmaster-{kind}-"))
        self.database_url = databases.create(kind, self.data)
        self.valkey = ValkeyServer(directory=self.data / "valkey")
        self.valkey.directory.mkdir()
        self.valkey.start()
        self.port = free_port()
        self.env = environment(self.data, self.database_url, self.valkey.url, PORT=str(self.port), **(more or {}))
        self.processes: list[Process] = []
        self._console: Console | None = None
        self._tokens: dict[str, str] = {}
        self.alive.append(self)

    # --- processes ---

    def worker(
        self, queues: str = "default", concurrency: int = 2, name: str | None = None, extra: Sequence[str] = ()
    ) -> Process:
        """A Celery worker for these queues (comma-separated), ready to work."""
        name = name or f"{queues.replace(',', '-')}-{len(self.processes)}"
        options = ["-Q", queues, "-c", str(concurrency), "-n", f"{name}@%h", *extra]
        process = self.celery(f"worker-{name}", "worker", *options)
        return self._ready(process, lambda: self._has_row(process))

    def beat(self, env: Mapping[str, str] | None = None) -> Process:
        """A Celery beat with our scheduler, which also runs the clock."""
        name = f"beat-{len(self.processes)}"
        process = self.celery(name, "beat", env=env)
        return self._ready(process, lambda: "celery beat" in process.output())

    def web(self) -> Process:
        """Gunicorn, as in production, on `self.port`."""
        command = ["gunicorn", "config.wsgi", "-c", "config/gunicorn.conf.py"]
        process = self.start(f"web-{len(self.processes)}", [sys.executable, "-m", *command])
        wait_for(lambda: self._listens(process), what=f"the web on port {self.port}")
        return process

    def celery(self, name: str, *args: str, env: Mapping[str, str] | None = None) -> Process:
        """Any `celery -A config ...` command. Killed when its test ends: what it leaves is the ledger's to mend."""
        process = self.start(name, [sys.executable, "-m", "celery", "-A", "config", *args], env)
        process.grace = 0
        return process

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        """Any command, in the station's environment and `env`; it ends with the test."""
        process = Process(name, command, self.data / "logs" / f"{name}.log", env={**self.env, **(env or {})})
        self.processes.append(process)
        return process

    def end(self, processes: Collection[Process]) -> None:
        """Stop them all at once, and forget them."""
        for process in processes:
            if process.running:
                process.resume()
                process.popen.terminate()
        for process in processes:
            process.ended(process.grace)
        self.processes = [process for process in self.processes if process not in processes]

    # --- commands and calls ---

    def manage(self, *args: str, input: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """`manage.py ...`; with `check` it must exit 0."""
        command = [sys.executable, "manage.py", *args]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, input=input, capture_output=True, text=True, timeout=120, check=False
        )
        if check:
            assert done.returncode == 0, f"manage.py {' '.join(args)} exited {done.returncode}:\n{done.stderr}"
        return done

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function at module level returns when it runs in a process of this station."""
        if self._console is None or not self._console.process.running:
            self._console = Console("console", self.data / "logs" / "console.log", self.env)
        return self._console.call(function, *args, **kwargs)

    def post(self, task: Any, *args: Any, kwargs: Mapping[str, Any] | None = None, **options: Any) -> str:
        """`task.apply_async(args, kwargs, **options)` in a process of this station; the id it answers."""
        return self.call(calls.apply, task.name, args, dict(kwargs or {}), options)

    def get(self, id: str, timeout: float = PATIENCE) -> Any:
        """`AsyncResult(id).get()` in a process of this station."""
        return self.call(calls.get, id, timeout)

    def console(self, env: Mapping[str, str] | None = None) -> Console:
        """One more process to call functions in, beside that of `call`."""
        name = f"console-{len(self.processes)}"
        console = Console(name, self.data / "logs" / f"{name}.log", {**self.env, **(env or {})})
        self.processes.append(console.process)
        return console

    # --- looking ---

    def sql(self, query: str, *params: Any) -> list[Row]:
        """Rows as dicts, read past Django; `%s` marks parameters on both databases."""
        return rows(self.database_url, query, params)

    def job(self, id: str) -> Row:
        """The row of one job; {} if there is none."""
        return next(iter(self.sql("SELECT * FROM jobs_job WHERE id = %s", id)), {})

    def jobs(self, ids: Collection[str]) -> list[Row]:
        """The rows of these jobs, in the order of the ids; those without a row are left out."""
        marks = ", ".join(["%s"] * len(ids))
        found = {row["id"]: row for row in self.sql(f"SELECT * FROM jobs_job WHERE id IN ({marks})", *ids)}
        return [found[id] for id in ids if id in found]

    def attempts(self, id: str) -> list[Row]:
        """The unsuccessful attempts of one job, oldest first."""
        return self.sql("SELECT * FROM jobs_attempt WHERE job_id = %s ORDER BY number, id", id)

    def result(self, id: str) -> Row:
        """The TaskResult row of one job; {} if there is none."""
        query = "SELECT * FROM django_celery_results_taskresult WHERE task_id = %s"
        return next(iter(self.sql(query, id)), {})

    def value(self, id: str) -> Any:
        """What one job returned."""
        return json.loads(self.result(id)["result"])

    def letters(self, id: str) -> list[Row]:
        """The dead letters of one job, oldest first."""
        return self.sql("SELECT * FROM dlq_deadletter WHERE job_id = %s ORDER BY id", id)

    def journal(self) -> list[str]:
        """What the plain tasks wrote: what really ran, in order."""
        path = self.data / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def write(self, line: str) -> None:
        """Add a line to the journal; `mended X` lets the task that waits for it succeed."""
        with (self.data / "journal").open("a") as file:
            file.write(f"{line}\n")

    # --- waiting ---

    def wait(self, look: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
        """What `look` returns as soon as it is true."""
        return wait_for(look, timeout, what)

    def wait_state(self, id: str, *states: str, timeout: float = PATIENCE) -> Row:
        """The job's row, as soon as it is in one of these states."""
        seen: Row = {}

        def look() -> bool:
            nonlocal seen
            seen = self.job(id)
            return seen.get("state") in states

        try:
            wait_for(look, timeout, "/".join(states))
        except AssertionError:
            raise AssertionError(f"{id} is not {'/'.join(states)} after {timeout:g} s: {seen}") from None
        return seen

    def wait_ended(self, ids: Collection[str], timeout: float = PATIENCE) -> list[Row]:
        """The rows of all these jobs, as soon as each has ended."""
        marks = ", ".join(["%s"] * len(ids))
        query = f"SELECT count(*) AS n FROM jobs_job WHERE id IN ({marks}) AND state IN {ENDED}"
        wait_for(lambda: self.sql(query, *ids)[0]["n"] == len(set(ids)), timeout, f"{len(ids)} jobs to end")
        return self.jobs(ids)

    # --- the web ---

    def http(self, method: str, path: str, json: Any = None, token: str | None = None, **more: Any) -> httpx.Response:
        """One request to the running web; `token` is sent as a bearer."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, json=json, headers=headers, timeout=more.pop("timeout", 40), **more)

    def token(self, scope: str = "admin") -> str:
        """An API token of this scope, made once."""
        if scope not in self._tokens:
            made = self.manage("create_token", f"test-{scope}", "--scope", scope)
            self._tokens[scope] = made.stdout.strip()
        return self._tokens[scope]

    # --- the end ---

    def mend(self) -> None:
        """Bring back what a test took away: Valkey and the database answer again."""
        if self.valkey.process is not None and self.valkey.process.running:
            self.valkey.resume()
        self.valkey.start()
        if self.kind == "postgres":
            self.databases.server().start()

    def logs(self) -> dict[str, str]:
        """What every process wrote, the last 12,000 characters."""
        return {log.stem: log.read_text(errors="replace")[-12000:] for log in sorted(self.data.glob("logs/*.log"))}

    def remove(self) -> None:
        """Stop everything and delete all data."""
        self.alive.remove(self)
        self.mend()
        if self._console is not None:
            self._console.stop()
        self.end(self.processes)
        self.valkey.remove()
        self.databases.remove(self.database_url)
        shutil.rmtree(self.data, ignore_errors=True)

    def _ready(self, process: Process, ready: Callable[[], bool]) -> Process:
        def look() -> bool:
            assert process.running, f"{process.name} ended:\n{process.output()[-6000:]}"
            return ready()

        wait_for(look, 60, f"{process.name} to be ready")
        return process

    def _has_row(self, process: Process) -> bool:
        """Whether a worker has written its heartbeat."""
        query = "SELECT 1 FROM jobs_worker WHERE pid = %s AND stopped_at IS NULL"
        return bool(self.sql(query, process.pid))

    def _listens(self, process: Process) -> bool:
        assert process.running, f"{process.name} ended:\n{process.output()[-6000:]}"
        try:
            return self.http("GET", "/healthz", timeout=5).status_code < 500
        except httpx.TransportError:
            return False
