"""docker-compose.yml: each command, started as a process with the service's own environment, comes up and stops."""

import subprocess
import time
import uuid

import httpx
import pytest

from jobs.queues import declared
from tests.support.composing import COMPOSE, SERVICES, WORKERS, Command, build_step, command, environment, seconds
from tests.support.processes import ROOT, Process, free_port
from tests.support.station import Station
from tests.support.waiting import wait_for

pytestmark = pytest.mark.databases("postgres")


def test_every_service_of_ours_is_tried_here() -> None:
    assert sorted(SERVICES) == sorted(["migrate", "web", "beat", "flower", *WORKERS])


def test_every_built_in_queue_has_its_worker_as_declared() -> None:
    served = {worker.queue: worker.concurrency for worker in map(Command.of, WORKERS)}
    assert served == {name: spec.concurrency for name, spec in declared().items()}
    assert SERVICES["worker-heavy"]["deploy"]["resources"]["limits"]["memory"] == "2g"


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_may_drain_before_it_is_killed_and_be_scaled(name: str) -> None:
    service = SERVICES[name]
    assert service["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
    assert seconds(service["stop_grace_period"]) > float(service["environment"]["SOFT_SHUTDOWN_TIMEOUT"]) + 5
    assert "container_name" not in service
    assert Command.of(name).node.endswith("@%h"), "three of them need three names"


def test_workers_and_beats_are_asked_whether_they_live() -> None:
    for name in [*WORKERS, "beat"]:
        kind = "beat" if name == "beat" else "worker"
        assert SERVICES[name]["healthcheck"]["test"] == ["CMD", "python", "manage.py", "alive", kind]
        assert seconds(SERVICES[name]["healthcheck"]["interval"]) >= 30, "each question starts a Python"


def test_what_the_database_was_not_told_outlives_the_container() -> None:
    assert all("spool:/data/spool" in SERVICES[name]["volumes"] for name in WORKERS)
    assert "spool" in COMPOSE["volumes"]
    assert "/data/spool" in (ROOT / "Dockerfile").read_text()


def test_redis_keeps_its_hints_and_is_asked_whether_it_lives() -> None:
    redis = COMPOSE["services"]["redis"]
    assert redis["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    assert "--appendonly yes" in redis["command"]
    assert "--maxmemory-policy noeviction" in redis["command"]


def test_all_wait_for_the_migrations() -> None:
    for name in SERVICES.keys() - {"migrate"}:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}, name
    assert COMPOSE["services"]["beat"]["deploy"]["replicas"] == 2
    assert COMPOSE["services"]["flower"]["ports"] == ["127.0.0.1:5555:5555"]


def test_migrate_fills_an_empty_database_and_ends(station: Station) -> None:
    url = station.databases.server().create_database(f"empty_{uuid.uuid4().hex[:8]}")
    process = station.start("migrate", command("migrate"), {**_environment("migrate", station), "DATABASE_URL": url})
    assert process.popen.wait(90) == 0, process.output()
    station.databases.remove(url)


def test_web_answers_with_its_styles_and_stops(station: Station) -> None:
    env = {**station.env, **_environment("web", station)}
    subprocess.run(["sh", "-c", build_step()], cwd=ROOT, env=env, check=True, capture_output=True, timeout=90)
    process = _start("web", station)
    wait_for(lambda: _status(station, "/healthz", process) == 200, 60, "/healthz")
    page = station.http("GET", "/admin/login/")
    assert page.status_code == 200
    style = page.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    assert station.http("GET", style).status_code == 200
    _stops(process, SERVICES["web"]["stop_grace_period"])


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_registers_runs_a_job_of_its_queue_and_stops(name: str, station: Station) -> None:
    worker = Command.of(name)
    process = _start(name, station)
    row = wait_for(lambda: _registered(station, worker.queue), 60, f"{name} to register")
    assert row["concurrency"] == worker.concurrency
    station.manage("enqueue", "tests.plain_tasks.add", "--args", "[1, 2]", "--queue", worker.queue, "--wait")
    assert _probed(name, station), "alive, by its own health check"
    _stops(process, SERVICES[name]["stop_grace_period"])
    assert not _registered(station, worker.queue), "a worker that stops says so"


def test_of_two_beats_one_leads_and_the_other_takes_over(station: Station) -> None:
    beats = [_start("beat", station, f"beat-{number}") for number in (1, 2)]
    leader = wait_for(lambda: _leader(station), 60, "a beat to lead")
    wait_for(lambda: all("beat: Starting..." in beat.output() for beat in beats), 60, "both beats to start")
    wait_for(lambda: _probed("beat", station), 30, "both to be alive")
    first = next(beat for beat in beats if str(beat.pid) in leader)
    _stops(first, "10s")
    wait_for(lambda: _leader(station) not in ("", leader), 30, "the other to take over")
    _stops(next(beat for beat in beats if beat is not first), "10s")


def test_flower_answers_and_stops(station: Station) -> None:
    port = free_port()
    env = {**_environment("flower", station), "FLOWER_PORT": str(port), "FLOWER_BASIC_AUTH": "ann:secret"}
    process = station.start("flower", command("flower"), env)
    wait_for(lambda: _answers(f"http://127.0.0.1:{port}/healthcheck", process), 60, "flower")
    assert "not found" not in process.output(), "no .env is no event"
    _stops(process, "10s")


def test_flowers_revoke_button_cancels_a_waiting_job(station: Station) -> None:
    port = free_port()
    station.manage("enqueue", "tests.plain_tasks.add", "--args", "[1, 2]")
    waiting = "SELECT id FROM jobs_job WHERE task = %s AND state = 'queued'"
    id = str(station.sql(waiting, "tests.plain_tasks.add")[0]["id"])
    env = {**_environment("flower", station), "FLOWER_PORT": str(port), "FLOWER_BASIC_AUTH": "ann:secret"}
    process = station.start("flower", command("flower"), env)
    wait_for(lambda: _answers(f"http://127.0.0.1:{port}/healthcheck", process), 60, "flower")
    revoke = f"http://127.0.0.1:{port}/api/task/revoke/{id}"
    assert httpx.post(revoke, timeout=20).status_code == 401, "without a name anybody could"
    answer = httpx.post(revoke, timeout=20, auth=("ann", "secret"))
    assert answer.status_code == 200, answer.text
    station.wait_state(id, "cancelled")


def _environment(service: str, station: Station) -> dict[str, str]:
    return environment(service, station.env)


def _start(service: str, station: Station, name: str = "") -> Process:
    return station.start(name or service, command(service), _environment(service, station))


def _stops(process: Process, period: str) -> None:
    """Within compose's grace, by its own doing."""
    started = time.monotonic()
    process.popen.terminate()
    process.popen.wait(seconds(period))
    assert process.popen.returncode in (0, -15), process.output()[-4000:]
    assert time.monotonic() - started < seconds(period)
    assert process.children() == []


def _probed(service: str, station: Station) -> bool:
    """What its health check says, run as compose would run it."""
    words = SERVICES[service]["healthcheck"]["test"][1:]
    env = {**station.env, **_environment(service, station)}
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, timeout=60, check=False).returncode == 0


def _registered(station: Station, queue: str) -> dict[str, object]:
    query = "SELECT * FROM jobs_worker WHERE queues = %s AND stopped_at IS NULL"
    return next(iter(station.sql(query, queue)), {})


def _leader(station: Station) -> str:
    return next((str(row["holder"]) for row in station.sql("SELECT * FROM jobs_lease WHERE until > now()")), "")


def _status(station: Station, path: str, process: Process) -> int:
    assert process.running, process.output()[-4000:]
    try:
        return station.http("GET", path, timeout=5).status_code
    except httpx.TransportError:
        return 0


def _answers(url: str, process: Process) -> bool:
    assert process.running, process.output()[-4000:]
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
