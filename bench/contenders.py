"""Who drains: ours and two plain Celerys. Each knows its environment, its worker, and what it has stored."""

import subprocess
import sys
from pathlib import Path

import psycopg
import redis

from tests.support.environment import environment
from tests.support.processes import ROOT, Process

CHILDREN = 2
#: Redis database of the results.
RESULTS = 15
DONE = "SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'SUCCESS'"


class Contender:
    """One way to run Celery, on a database and a Redis database of its own."""

    name: str
    #: What `celery -A` takes, and where the app object is.
    app: str
    module: str

    def __init__(self, data: Path, database_url: str, redis_url: str) -> None:
        self.data, self.database_url, self.redis_url = data, database_url, redis_url
        self.env = {**environment(data, database_url, redis_url), "JOBS_TIME_SCALE": "1", "LOG_LEVEL": "WARNING"}
        self.env["JOBS_TASK_MODULES"] = "bench.noop"

    def prepare(self) -> None:
        """Make what must be there before the first round."""

    def clear(self) -> None:
        """Forget the jobs of the last round."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushdb()

    def fill(self, jobs: int) -> None:
        self._run("-m", "bench.fill", self.module, str(jobs))

    def worker(self) -> Process:
        options = ["-Q", "default", "-c", str(CHILDREN), "-P", "prefork", "-l", "WARNING"]
        command = [sys.executable, "-m", "celery", "-A", self.app, "worker", *options]
        return Process(self.name, command, self.data / f"{type(self).__name__}.log", env=self.env)

    def stored(self) -> int:
        """Results stored so far."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what counted."""

    def _run(self, *args: str) -> None:
        done = subprocess.run(
            [sys.executable, *args], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{self.name}: {' '.join(args)} failed:\n{done.stdout}{done.stderr}")


class InDatabase(Contender):
    """Results are rows."""

    #: What is emptied between rounds.
    tables = "django_celery_results_taskresult"
    connection: "psycopg.Connection[tuple[int]] | None" = None

    def prepare(self) -> None:
        self._run("-m", "django", "migrate", "--verbosity", "0")
        self.connection = psycopg.connect(self.database_url, autocommit=True)

    def clear(self) -> None:
        super().clear()
        assert self.connection is not None
        self.connection.execute(f"TRUNCATE {self.tables} CASCADE".encode())
        self.connection.execute("CHECKPOINT")

    def stored(self) -> int:
        assert self.connection is not None
        row = self.connection.execute(DONE).fetchone()
        return row[0] if row else 0

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


class Stationmaster(InDatabase):
    """This project as shipped: every job a row, results in the settle's transaction."""

    name = "stationmaster"
    app, module = "config", "config.celery"
    tables = "jobs_job, django_celery_results_taskresult"


class PlainDatabase(InDatabase):
    """Plain Celery, results in django-celery-results on PostgreSQL."""

    name = "celery + django-celery-results"
    app = module = "bench.plain"

    def __init__(self, data: Path, database_url: str, redis_url: str) -> None:
        super().__init__(data, database_url, redis_url)
        self.env |= {"RESULTS": "django-db", "DJANGO_SETTINGS_MODULE": "bench.plain_settings"}


class PlainRedis(Contender):
    """Plain Celery, results in Redis."""

    name = "celery + redis results"
    app = module = "bench.plain"

    def __init__(self, data: Path, database_url: str, redis_url: str) -> None:
        super().__init__(data, database_url, redis_url)
        # A Redis database for nothing but results: its size is their number.
        results = f"{redis_url.rpartition('/')[0]}/{RESULTS}"
        self.env |= {"RESULTS": results}
        del self.env["DJANGO_SETTINGS_MODULE"]
        self.client = redis.Redis.from_url(results)
        self.posted = 0

    def clear(self) -> None:
        super().clear()
        self.client.flushdb()

    def fill(self, jobs: int) -> None:
        self.posted = jobs
        super().fill(jobs)

    def stored(self) -> int:
        """STARTED is stored under the same key: a child has at most one such, and the last ones are looked at."""
        size = self.client.dbsize()
        if size < self.posted:
            return max(0, size - CHILDREN)
        values = self.client.mget(self.client.keys("celery-task-meta-*"))
        return sum(b'"status": "SUCCESS"' in (value or b"") for value in values)

    def close(self) -> None:
        self.client.close()


CONTENDERS: tuple[type[Contender], ...] = (Stationmaster, PlainRedis, PlainDatabase)
