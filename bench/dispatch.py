"""How late the dispatcher rings what is due: so many jobs a second for some seconds, each due at its own millisecond.

`python -m bench.dispatch [--rate 1000] [--seconds 10] [--json]`; bench/README.md says what the numbers mean.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import redis

from bench.contenders import Stationmaster
from bench.servers import progress, servers
from tests.support.processes import ROOT, Process
from tests.support.valkey import ValkeyServer
from tests.support.waiting import wait_for

#: Where hints without a priority lie.
LIST = "stationmaster:default\x06\x169"
#: p99 (seconds) that is promised.
BAR = 1.0
#: Seconds between the last insert and the first job that is due.
LEAD_IN = 3.0
#: Seconds after the last job was due; what is not rung by then is late by as much.
PATIENCE = 60.0

COPY = """
INSERT INTO jobs_job ({columns})
SELECT {values} FROM jobs_job AS job,
    (SELECT n, gen_random_uuid()::text AS id FROM generate_series(1, %(jobs)s) AS n) AS copy
WHERE job.id = %(id)s
"""
COPIED = {
    "id": "copy.id",
    "root_job_id": "copy.id",
    "envelope": "replace(job.envelope, job.id, copy.id)",
    "run_at": "now() + %(lead_in)s * interval '1 s' + copy.n * interval '1 s' / %(rate)s",
}


def main() -> None:
    options = _options()
    with _station() as (station, connection, valkey):
        progress("starting beat")
        beat = _beat(station, connection)
        try:
            due = schedule(station, connection, options.rate, options.seconds)
            late = lateness(due, valkey)
        finally:
            beat.stop()
    _print(late, options)
    raise SystemExit(late[int(len(late) * 0.99)] > BAR)


def schedule(station: Stationmaster, connection: psycopg.Connection, rate: int, seconds: float) -> dict[str, float]:
    """Insert the jobs: one is posted, the others are its copies; when each is due (Unix time), by id."""
    progress("inserting jobs")
    station._run("-m", "bench.fill", station.module, "1", "86400")
    columns = [row[0] for row in connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'jobs_job'"
    )]  # fmt: skip
    (first,) = connection.execute("SELECT id FROM jobs_job").fetchone() or ("",)
    statement = COPY.format(columns=", ".join(columns), values=", ".join(COPIED.get(c, f"job.{c}") for c in columns))
    facts = {"jobs": int(rate * seconds), "id": first, "lead_in": LEAD_IN, "rate": rate}
    connection.execute(statement.encode(), facts)
    rows = connection.execute("SELECT id, extract(epoch FROM run_at)::float8 FROM jobs_job WHERE id <> %s", [first])
    return dict(rows.fetchall())


def lateness(due: dict[str, float], valkey: ValkeyServer) -> list[float]:
    """Seconds from when each was due to when its hint lay in Redis, sorted; the host's clock tells both."""
    popped: list[tuple[float, bytes]] = []
    until = max(due.values()) + PATIENCE
    with redis.Redis(port=valkey.port) as client:
        while len(popped) < len(due) and time.time() < until:
            if (one := client.brpop([LIST], timeout=1)) is not None:
                more = client.rpop(LIST, 10_000) or []
                at = time.time()
                popped.extend((at, raw) for raw in (one[1], *more))
                progress(f"{len(popped):,} of {len(due):,} rung")
    rung = {json.loads(raw)["headers"]["id"]: at for at, raw in reversed(popped)}
    return sorted(rung.get(id, until) - at for id, at in due.items())


@contextmanager
def _station() -> Iterator[tuple[Stationmaster, psycopg.Connection, ValkeyServer]]:
    """Our station on a PostgreSQL and a Valkey that are started here and end here."""
    with ExitStack() as end:
        data = Path(tempfile.mkdtemp(prefix="stationmaster-bench-"))
        end.callback(shutil.rmtree, data, ignore_errors=True)
        postgres, valkey = end.enter_context(servers())
        station = Stationmaster(data, postgres.create_database("bench"), valkey.url)
        station.prepare()
        end.callback(station.close)
        assert station.connection is not None
        yield station, station.connection, valkey


def _beat(station: Stationmaster, connection: psycopg.Connection) -> Process:
    """A beat that leads."""
    command = [sys.executable, "-m", "celery", "-A", station.app, "beat", "-l", "WARNING"]
    beat = Process("beat", command, station.data / "beat.log", env=station.env, cwd=ROOT)
    lease = "SELECT 1 FROM jobs_lease WHERE name = 'beat' AND until > now()"
    wait_for(lambda: connection.execute(lease.encode()).fetchone(), 60, "beat to lead")
    return beat


def _print(late: list[float], options: argparse.Namespace) -> None:
    progress("")
    marks = {f"p{p}": late[int(len(late) * p / 100)] for p in (50, 95, 99)} | {"max": late[-1]}
    if options.json:
        print(json.dumps({"rate": options.rate, "seconds": options.seconds, "jobs": len(late), "bar": BAR, **marks}))
        return
    print(f"{len(late):,} jobs, {options.rate:,} due a second: lateness of the hint in Redis\n")
    print("   ".join(f"{name} {value:.3f} s" for name, value in marks.items()))
    print(f"\nPromised: p99 at most {BAR:g} s.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.dispatch", description="How late due jobs are rung.")
    parser.add_argument("--rate", type=int, default=1000, help="jobs due a second (default 1000)")
    parser.add_argument("--seconds", type=float, default=10, help="for so long (default 10)")
    parser.add_argument("--json", action="store_true", help="the numbers as one JSON object on standard output")
    options = parser.parse_args()
    if options.rate < 1 or options.rate * options.seconds < 100:
        parser.error("at least 100 jobs")
    return options


if __name__ == "__main__":
    main()
