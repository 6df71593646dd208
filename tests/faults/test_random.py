"""The random-fault run: `manage.py drill`, and servers that the test itself kills and silences, one fault at a time.

FAULT_SECONDS sets the length on PostgreSQL (180; 1800 by hand), a third of it on SQLite. FAULT_SEED repeats a run.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Pipe
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import psutil
import pytest

from tests.faults.drilling import Breaker
from tests.support.postgres import PostgresServer
from tests.support.processes import ROOT, Process
from tests.support.station import Station

SECONDS = int(os.environ.get("FAULT_SECONDS", "180"))
SEED = int(os.environ.get("FAULT_SEED", "0")) or random.randint(1, 2**31)
#: Start, the last jobs' end, a machine that does other things as well.
BESIDE = 240

#: Jobs whose letters don't fit their state: one open letter for a dead one, none for any other.
LETTERS = """
    SELECT jobs_job.id, state, count(letter.id) AS letters FROM jobs_job
    LEFT JOIN dlq_deadletter AS letter ON letter.job_id = jobs_job.id AND letter.status = 'open'
    GROUP BY jobs_job.id, state HAVING count(letter.id) <> CASE WHEN state = 'dead' THEN 1 ELSE 0 END
"""


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_ALLOW_DRILL": "1"}


@pytest.mark.timeout(SECONDS + BESIDE)
def test_whatever_single_thing_breaks_each_accepted_job_ends_one_recorded_way(fresh_station: Station) -> None:
    station = fresh_station
    seconds = SECONDS if station.kind == "postgres" else SECONDS // 3
    told, breaker = _drill(station, _breaks(station), "--seconds", str(seconds), "--seed", str(SEED))
    assert breaker.trouble == []
    assert told["verdict"] == "lost 0, doubled 0, unfinished 0", _evidence(told)
    assert told["accepted"] > seconds / 2, _evidence(told)
    assert sum(fault["times"] for fault in told["faults"]) >= seconds / 40, _evidence(told)
    assert station.sql(LETTERS) == [], _evidence(told)
    print(json.dumps(told, indent=1))


@pytest.mark.databases("sqlite")
def test_with_a_valkey_of_its_own_it_leaves_no_process_behind(fresh_station: Station) -> None:
    station = fresh_station
    env = {name: value for name, value in station.env.items() if name != "REDIS_URL"}
    chosen = ["--fault", "Redis killed, back empty", "--fault", "Redis flushed"]
    told, _ = _drill(station, {}, "--seconds", "15", "--seed", str(SEED), *chosen, env=env)
    assert told["verdict"] == "lost 0, doubled 0, unfinished 0", _evidence(told)
    assert {fault["fault"] for fault in told["faults"]} <= {"Redis killed, back empty", "Redis flushed"}
    assert _of_drill(station) == []


@pytest.mark.databases("sqlite")
def test_a_stopped_drill_leaves_its_journal_and_no_process(fresh_station: Station) -> None:
    station = fresh_station
    command = [sys.executable, "manage.py", "drill", "--seconds", "600", "--yes"]
    drill = station.start("drill", command)
    station.wait(lambda: "1: " in drill.output(), 120, "the first fault")
    assert _of_drill(station) != []
    drill.signal(2)
    assert drill.ended(60) == 1
    assert "gives no verdict. Journal and logs lie in" in drill.output()
    assert _of_drill(station) == []
    assert list(station.data.glob("drill/*/journal"))
    assert (
        station.sql("SELECT id FROM jobs_job WHERE queue = 'drill' AND state IN ('queued', 'scheduled', 'retrying')")
        == []
    )


@pytest.mark.databases("sqlite")
def test_a_machine_that_loses_jobs_fails_the_drill(fresh_station: Station) -> None:
    """Where the rescuer forgets the jobs of dead workers, as an early acknowledgement would."""
    station = fresh_station
    env = {**station.env, "JOBS_TASK_MODULES": "tests.faults.forgetful"}
    told, _ = _drill(station, {}, "--seconds", "20", "--seed", "1", "--fault", "all workers killed", env=env, code=1)
    assert len(told["lost"]) >= 1
    assert set(told["lost"].values()) == {"accepted, but it has no row"}
    assert told["doubled"] == {}


def _drill(
    station: Station,
    breaks: dict[str, Callable[[float], object]],
    *options: str,
    env: Mapping[str, str] | None = None,
    code: int = 0,
) -> tuple[dict[str, Any], Breaker]:
    """Run it; what it printed as JSON."""
    here, there = Pipe()
    breaker = Breaker(here, breaks)
    breaker.start()
    module = ["-m", "tests.faults.drilling", str(there.fileno())] if breaks else ["manage.py"]
    command = [sys.executable, *module, "drill", "--yes", "--json", *options]
    with (station.data / "drill.log").open("w") as log:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=dict(env or station.env),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            pass_fds=[there.fileno()],
            check=False,
        )
    there.close()
    breaker.join(5)
    here.close()
    said = (station.data / "drill.log").read_text()
    told = json.loads(done.stdout) if done.stdout else {}
    assert done.returncode == code, f"exit code {done.returncode}\n{_evidence(told)}\n{said[-6000:]}"
    assert told, said[-6000:]
    return told, breaker


def _breaks(station: Station) -> dict[str, Callable[[float], object]]:
    """What this test does to its own servers."""
    breaks: dict[str, Callable[[float], object]] = {
        "given Redis killed": lambda seconds: _valkey_killed(station, seconds, empty=False),
        "given Redis killed and empty": lambda seconds: _valkey_killed(station, seconds, empty=True),
        "given Redis silent": lambda seconds: _silent(station.valkey.process, seconds),
    }
    if station.kind == "postgres":
        server = station.databases.server()
        breaks["PostgreSQL killed"] = lambda seconds: _postgres_killed(server, seconds)
        breaks["PostgreSQL silent"] = lambda seconds: _silent(server.process, seconds)
    return breaks


def _postgres_killed(server: PostgresServer, seconds: float) -> None:
    server.stop()
    time.sleep(seconds)
    server.start()


def _valkey_killed(station: Station, seconds: float, *, empty: bool) -> None:
    station.valkey.process.signal(SIGKILL)
    station.valkey.process.ended(10)
    time.sleep(seconds)
    if empty:
        shutil.rmtree(station.valkey.directory / "appendonlydir", ignore_errors=True)
    station.valkey.start()


def _silent(process: Process | None, seconds: float) -> None:
    """The server and the processes that it made for its clients."""
    assert process is not None, "a server of the test's own"
    pids = [process.pid, *process.children()]
    try:
        _signal(pids, SIGSTOP)
        time.sleep(seconds)
    finally:
        _signal(pids, SIGCONT)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def _of_drill(station: Station) -> list[int]:
    """The processes that the drill marked as its own."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("STATIONMASTER_DRILL") == str(station.data):
                found.append(process.pid)
        except psutil.Error:
            pass
    return found


def _evidence(told: dict[str, Any]) -> str:
    """How to repeat the run, and what is known of the jobs in question; the whole run is kept."""
    again = f"FAULT_SEED={SEED} FAULT_SECONDS={SECONDS} .venv/bin/python -m pytest tests/faults/test_random.py"
    if not told:
        return f"no report; again: {again}"
    journal = Path(told["journal"])
    kept = Path(tempfile.mkdtemp(prefix="stationmaster-drill-"))
    shutil.copytree(journal.parents[2], kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("valkey"))
    guilty = {**told["lost"], **told["doubled"], **told["unfinished"]}
    lines = [line for line in journal.read_text().splitlines() if any(id in line for id in guilty)]
    return "\n".join([json.dumps(told, indent=1), f"again: {again}", f"kept in: {kept}", *lines])
