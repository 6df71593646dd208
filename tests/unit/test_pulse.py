"""A process that lives leaves a fresh file; one that ended or hangs does not."""

import io
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from jobs import pulse
from jobs.conf import conf


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    return tmp_path / "pulse"


def test_a_beat_makes_a_fresh_pulse_with_pid_and_time(directory: Path) -> None:
    pulse.beat("worker", "emails@host")
    [seen] = pulse.read("worker")
    assert (seen.name, seen.pid, seen.fresh) == ("emails@host", os.getpid(), True)
    [file] = directory.iterdir()
    pid, at, _ = file.read_text().split()
    assert int(pid) == os.getpid()
    assert abs(int(at) - time.time()) < 60


def test_a_second_beat_freshens_the_same_file(directory: Path) -> None:
    pulse.beat("worker", "a")
    _age(directory, 1000)
    assert not pulse.read("worker")[0].fresh
    pulse.beat("worker", "a")
    [seen] = pulse.read("worker")
    assert seen.fresh


def test_a_file_that_somebody_removed_is_made_again(directory: Path) -> None:
    pulse.beat("worker", "a")
    next(directory.iterdir()).unlink()
    pulse.beat("worker", "a")
    assert len(pulse.read("worker")) == 1


def test_a_pulse_is_stale_after_three_heartbeats_but_not_before_five_seconds(monkeypatch) -> None:
    for heartbeat, bound in ((10, 30), (1, 5)):
        monkeypatch.setattr(pulse, "conf", lambda heartbeat=heartbeat: replace(conf(), heartbeat=heartbeat))
        assert pulse.bound() == bound
        assert pulse.Pulse("a", 1, bound - 0.1).fresh
        assert not pulse.Pulse("a", 1, bound + 0.1).fresh


def test_kinds_are_apart() -> None:
    pulse.beat("beat")
    assert pulse.read("worker") == []
    assert len(pulse.read("beat")) == 1


def test_the_file_of_a_process_that_ended_is_removed(directory: Path) -> None:
    pulse.beat("worker", "a")
    with subprocess.Popen(["true"]) as ended:
        pass
    [file] = directory.iterdir()
    file.rename(directory / f"{file.name.rpartition('.')[0]}.{ended.pid}")
    assert pulse.read("worker") == []
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells when a process began")
def test_the_file_of_an_earlier_process_of_this_id_is_no_pulse_of_it(directory: Path) -> None:
    """As in a container that started anew over the files of the old one: else it would be stale for ever."""
    pulse.beat("worker", "a")
    [file] = directory.iterdir()
    with subprocess.Popen(["sleep", "60"]) as other:
        file.rename(directory / f"{file.name.rpartition('.')[0]}.{other.pid}")
        _age(directory, 1000)
        assert pulse.read("worker") == []
        other.kill()
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells when a process began")
def test_a_process_takes_over_the_file_of_an_earlier_one_of_its_id(directory: Path) -> None:
    pulse.beat("worker", "a")
    [file] = directory.iterdir()
    file.write_text(f"{os.getpid()} 1000 1\n")
    pulse._made.clear()
    pulse.beat("worker", "a")
    assert [seen.fresh for seen in pulse.read("worker")] == [True]


def test_another_hosts_pulse_is_no_sign_of_life_here(directory: Path, monkeypatch) -> None:
    pulse.beat("worker", "a")
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert pulse.read("worker") == []
    assert len(list(directory.iterdir())) == 1, "it is not ours to remove"
    _age(directory, 90_000)
    assert pulse.read("worker") == []
    assert list(directory.iterdir()) == []


def test_any_name_makes_a_file_of_this_directory(directory: Path) -> None:
    for name in ("../../etc/x", "a.b.c", "", "x" * 500, "é/%h"):
        pulse.beat("worker", name)
    assert len(list(directory.iterdir())) == len(pulse.read("worker")) == 5


def test_a_process_that_ends_in_order_removes_its_file(directory: Path) -> None:
    pulse.beat("worker", "a")
    pulse.end("worker", "a")
    pulse.end("worker", "a")
    assert list(directory.iterdir()) == []


def test_a_directory_that_cant_be_written_stops_nobody(directory: Path) -> None:
    directory.write_text("a file")
    pulse.beat("worker", "a")
    assert pulse.read("worker") == []


def _age(directory: Path, seconds: float) -> None:
    """Let every pulse be this old."""
    for file in directory.iterdir():
        os.utime(file, (time.time() - seconds, time.time() - seconds))


# --- the command ---


def alive(kind: str) -> tuple[str, int]:
    """What `manage.py alive` says, and its exit code."""
    out = io.StringIO()
    try:
        call_command("alive", kind, stdout=out)
    except CommandError as refused:
        return str(refused), refused.returncode
    return out.getvalue().strip(), 0


def test_a_fresh_pulse_is_alive() -> None:
    pulse.beat("worker", "emails@host")
    assert alive("worker") == (f"Alive: emails@host (pid {os.getpid()}).", 0)


def test_no_pulse_is_not_alive() -> None:
    pulse.beat("beat")
    said, code = alive("worker")
    assert code == 1
    assert "No worker runs" in said


def test_one_stale_pulse_among_fresh_ones_is_not_alive(directory: Path) -> None:
    pulse.beat("worker", "stuck@host")
    _age(directory, 100)
    pulse.beat("worker", "fresh@host")
    said, code = alive("worker")
    assert code == 1
    assert "stuck@host" in said
    assert "fresh@host" not in said


def test_the_short_way_of_manage_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert pulse.probe("worker") == 1
    assert capsys.readouterr().err.strip() == alive("worker")[0]
    pulse.beat("worker", "a@b")
    assert pulse.probe("worker") == 0
    assert capsys.readouterr().out.strip() == alive("worker")[0]
