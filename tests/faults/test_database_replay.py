"""What lies in the spool: torn, foreign, old, too much; none of it harms a job."""

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.plain_tasks import journaled, outcomes
from tests.support.accounts import balance
from tests.support.outages import frozen, stopped
from tests.support.station import Station
from tests.support.variants import HURRIED, SMALL_SPOOL, variables

pytestmark = pytest.mark.databases("postgres")


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.outcomes"}


@pytest.fixture(autouse=True)
def clean(station: Station) -> None:
    """No body of this test is told to go on yet, and the spool is empty."""
    (station.data / "journal").unlink(missing_ok=True)
    shutil.rmtree(spool(station), ignore_errors=True)


def spool(station: Station) -> Path:
    return station.data / "spool"


def entries(station: Station) -> list[Path]:
    return sorted(spool(station).glob("*.entry"))


def end_in_outage(station: Station, ids: list[str]) -> None:
    """Called while the database is away: the bodies end, and their outcomes are spooled."""
    station.write(outcomes.GO)
    station.wait(lambda: sum(line.startswith("end") for line in station.journal()) == len(ids))
    station.wait(lambda: len(entries(station)) == len(ids))


def begun(station: Station, count: int) -> list[str]:
    ids = [station.post(outcomes.failing) for _ in range(count)]
    station.wait(lambda: {f"start {id}" for id in ids} <= {*station.journal()})
    return ids


def test_an_entry_told_again_changes_nothing(station: Station) -> None:
    """As if the worker had died after the database took the outcome, and before it deleted the entry."""
    station.worker("default", 2)
    ids = begun(station, 2)
    copies = station.data / "copies"
    with stopped(station):
        end_in_outage(station, ids)
        shutil.copytree(spool(station), copies, dirs_exist_ok=True)
    before = balance(station, ids)
    for copy in copies.iterdir():
        shutil.copy(copy, spool(station))
    station.wait(lambda: not entries(station), what="the copies to be told")
    assert balance(station, ids) == before
    assert [len(station.letters(id)) for id in ids] == [1, 1]


def test_torn_and_foreign_entries_are_set_aside_and_harm_nobody(station: Station) -> None:
    """A half written entry, one of another key, an empty one, bytes of anything, a directory."""
    first = station.worker("default", 1)
    [id] = begun(station, 1)
    with stopped(station):
        end_in_outage(station, [id])
        first.kill()
        [entry] = entries(station)
        content = entry.read_bytes()
        spoiled(spool(station), content)
    station.worker("default", 1)
    [row] = balance(station, [id])
    assert (row["state"], row["attempt"]) == ("dead", 1)
    station.wait(lambda: [path for path in entries(station) if path.is_file()] == [])
    balance(station, [station.post(journaled)])
    kept = {path.stem: path.read_bytes() for path in spool(station).glob("*.unreadable") if path.is_file()}
    assert kept.keys() >= {"torn", "foreign", "bytes", "empty"}, "thrown away, where a person might want to look"


def spoiled(directory: Path, content: bytes) -> None:
    signature, _, call = content.partition(b"\n")
    (directory / "torn.entry").write_bytes(content[: len(content) // 2])
    (directory / "foreign.entry").write_bytes(signature[::-1] + b"\n" + call)
    (directory / "bytes.entry").write_bytes(os.urandom(500))
    (directory / "empty.entry").touch()
    (directory / "directory.entry").mkdir()
    for path in directory.glob("*.entry"):
        if path.stem in ("torn", "foreign", "bytes", "empty", "directory"):
            os.utime(path, (0, 0))  # told before the good one


def test_a_worker_whose_spool_is_full_waits_with_its_outcome(station: Station) -> None:
    """Longer than its patience: there is nothing else that it may do with it."""
    with variables(station, DJANGO_SETTINGS_MODULE=SMALL_SPOOL):
        station.worker("default", 2)
    ids = begun(station, 2)
    station.beat()
    with stopped(station):
        station.write(outcomes.GO)
        station.wait(lambda: sum(line.startswith("end") for line in station.journal()) == 2)
        time.sleep(4)
        assert entries(station) == []
    rows = balance(station, ids)
    assert [(row["state"], row["attempt"], row["crashes"]) for row in rows] == [("dead", 1, 0)] * 2


def test_the_next_worker_tells_what_the_last_one_had_to_leave(station: Station) -> None:
    """The worker lost patience, worked on, and was stopped; nobody was there when the database came back."""
    with variables(station, DJANGO_SETTINGS_MODULE=HURRIED):
        worker = station.worker("default", 1)
    [id] = begun(station, 1)
    with stopped(station):
        end_in_outage(station, [id])
        station.wait(lambda: "is settled when the database is back" in worker.output())
        assert worker.stop(20) == 0
    assert station.job(id)["state"] == "running"
    station.worker("default", 1)
    [row] = balance(station, [id])
    assert (row["state"], row["attempt"]) == ("dead", 1)


def test_a_worker_killed_while_the_database_is_silent_loses_no_job(station: Station) -> None:
    """A statement that gets no answer has not failed: nothing is spooled yet, and the body runs again."""
    first = station.worker("default", 1)
    station.beat()
    [id] = begun(station, 1)
    with frozen(station):
        station.write(outcomes.GO)
        station.wait(lambda: f"end {id}" in station.journal())
        time.sleep(1)
        first.kill()
    station.worker("default", 1)
    [row] = balance(station, [id])
    assert (row["state"], row["attempt"], row["crashes"]) == ("dead", 2, 1)
