"""The supervisor's parts, each by itself; tests/acceptance/test_make_run.py shows them together."""

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from jobs.queues import BUILT_IN, QueueSpec, declared
from jobs.supervisor import census, parts, sample, valkey
from jobs.supervisor.development import announced
from jobs.supervisor.errors import AlreadyRunning
from jobs.supervisor.lock import only_one
from jobs.supervisor.parts import Part, Wave
from jobs.supervisor.process import Process
from tests.support.processes import free_port, kill
from tests.support.waiting import wait_for


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """NAME=value that only processes of this test carry."""
    yield f"STATIONMASTER_TEST={tmp_path}"
    for pid in census.marked(f"STATIONMASTER_TEST={tmp_path}"):
        kill(pid)


def _process(script: str, mark: str, said: list[str]) -> Process:
    name, _, value = mark.partition("=")
    return Process(Part("part", (sys.executable, "-c", script), Wave.JOBS), {name: value}, said.append)


def _tended(process: Process) -> bool:
    process.tend()
    return process.running


# --- one at a time ---


def test_a_held_directory_is_refused_and_the_holder_named(tmp_path: Path) -> None:
    with (
        only_one(tmp_path, "http://127.0.0.1:8000/"),
        pytest.raises(AlreadyRunning) as refused,
        only_one(tmp_path, "http://127.0.0.1:9000/"),
    ):
        pass
    assert (refused.value.pid, refused.value.url) == (os.getpid(), "http://127.0.0.1:8000/")


def test_a_lock_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from jobs.supervisor.lock import only_one\n"
        "with only_one(Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning), only_one(tmp_path, "y"):
            pass
        holder.kill()
        holder.wait()
    with only_one(tmp_path, "y"):
        pass


def test_the_announcement_lasts_as_long_as_the_station(tmp_path: Path) -> None:
    with announced(tmp_path, redis_url="redis://127.0.0.1:1/0"):
        assert (tmp_path / "development.json").exists()
    assert not (tmp_path / "development.json").exists()


# --- parts ---


def test_no_worker_is_larger_than_declared_nor_than_the_machine_bears() -> None:
    for spec in (*BUILT_IN, QueueSpec("huge", 1000)):
        assert 1 <= parts.concurrency(spec) <= min(spec.concurrency, 2 * (os.cpu_count() or 1))


def test_every_declared_queue_has_a_worker_that_drains_on_sigterm() -> None:
    workers = parts.workers()
    assert [worker.name for worker in workers] == [f"worker-{name}" for name in declared()]
    assert all(worker.environment["REMAP_SIGTERM"] == "SIGQUIT" for worker in workers)
    assert all(worker.environment["SOFT_SHUTDOWN_TIMEOUT"] == str(parts.DRAIN) for worker in workers)


def test_all_waves_together_end_within_half_a_minute() -> None:
    assert set(parts.PATIENCE) == set(Wave)
    assert parts.beat().patience + parts.web().patience + parts.PATIENCE[Wave.VALKEY] < 30


# --- processes ---


def test_output_is_passed_on_with_the_name_in_front(mark: str, said: list[str]) -> None:
    process = _process('print(\'{"level": "INFO"}\')', mark, said)
    process.start()
    assert wait_for(lambda: said) == ['part            | {"level": "INFO"}']
    wait_for(lambda: not process.running)


def test_what_dies_starts_again_after_a_wait(mark: str, said: list[str]) -> None:
    process = _process("import time; time.sleep(60)", mark, said)
    process.start()
    assert process.popen is not None
    first = process.popen.pid
    kill(first)
    wait_for(lambda: not process.running)
    process.tend()
    assert said[-1] == "part ended (killed by SIGKILL); it starts again in 1 s."
    assert not process.running
    wait_for(lambda: _tended(process), 5)
    assert process.popen.pid != first
    process.kill()
    wait_for(lambda: not process.running)


def test_the_wait_grows_with_every_early_death(mark: str, said: list[str]) -> None:
    process = _process("raise SystemExit(3)", mark, said)
    for wait in (1, 2, 5):
        process.start()
        wait_for(lambda: not process.running)
        process.tend()
        assert said[-1] == f"part ended (exit code 3); it starts again in {wait} s."


def test_children_of_the_dead_are_not_left_beside_the_successor(mark: str, said: list[str]) -> None:
    script = "import subprocess, os; subprocess.Popen(['sleep', '60']); os._exit(1)"
    process = _process(script, mark, said)
    process.start()
    wait_for(lambda: not process.running)
    wait_for(lambda: census.marked(mark))
    process.tend()
    wait_for(lambda: not census.marked(mark), 5, "the orphan to be gone")


# --- the census ---


def test_a_marked_process_is_found_in_whatever_session_it_is(mark: str) -> None:
    name, _, value = mark.partition("=")
    command = ["setsid", "sleep", "60"]
    with subprocess.Popen(command, env={**os.environ, name: value}) as stray:
        wait_for(lambda: census.marked(mark))
        assert census.descendants() >= census.marked(mark)
        assert census.end(lambda: census.marked(mark), patience=5) == 1
        stray.wait(5)
    assert census.marked(mark) == set()


def test_who_does_not_listen_is_killed(mark: str) -> None:
    name, _, value = mark.partition("=")
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script]
    env = {**os.environ, name: value}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, start_new_session=True) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        started = time.monotonic()
        census.end(lambda: census.marked(mark), patience=0.5)
        assert deaf.wait(5) == -9
    assert time.monotonic() - started < 5


def test_a_mark_that_only_begins_alike_is_another_station(mark: str) -> None:
    name, _, value = mark.partition("=")
    with subprocess.Popen(["sleep", "60"], env={**os.environ, name: value + "2"}) as other:
        wait_for(lambda: census.marked(mark + "2"))
        assert census.marked(mark) == set()
        other.kill()


# --- Valkey ---


def test_valkey_keeps_its_port(tmp_path: Path) -> None:
    first = valkey.port(tmp_path)
    assert valkey.port(tmp_path) == first


def test_valkey_takes_another_port_when_its_own_is_taken(tmp_path: Path) -> None:
    with socket.create_server((valkey.HOST, valkey.port(tmp_path))) as busy:
        assert valkey.port(tmp_path) != busy.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    port = free_port()
    assert valkey.free("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", port)):
        assert not valkey.free("127.0.0.1", port)


# --- the picture ---


def test_the_sample_is_a_picture_with_metadata() -> None:
    picture = Image.open(io.BytesIO(sample.draw()))
    picture.load()
    assert picture.size == (sample.WIDTH, sample.HEIGHT)
    assert picture.getexif()[0x010E].startswith("Evening")
