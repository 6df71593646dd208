"""Several beats: one leads, another takes over, no tick is doubled and no job waits for ever."""

import time
from typing import Any

import pytest

from tests.plain_tasks import journaled, note
from tests.support.accounts import balance
from tests.support.breaking import SLACK, freeze, thaw
from tests.support.figures import timed
from tests.support.processes import Process
from tests.support.station import Station

#: Seconds until another beat leads (15, here at a tenth).
TAKEOVER = 1.5


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.ticking"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker; each test starts the beats it wants."""
    station.worker("default", concurrency=2)
    return station


def ticks(station: Station) -> list[dict[str, Any]]:
    return station.sql("SELECT * FROM jobs_job WHERE schedule IS NOT NULL AND task LIKE %s", "%whoami")


def check_one_tick_a_second(station: Station) -> None:
    """Whichever beat leads, for four seconds."""
    station.wait(lambda: ticks(station), what="the first tick")
    since, before = time.monotonic(), len(ticks(station))
    time.sleep(4)
    station.wait(lambda: len(ticks(station)) >= before + 2, what="the ticks to go on")
    made, seconds = len(ticks(station)) - before, time.monotonic() - since
    assert made <= seconds + 1


def leader_and_next(station: Station) -> tuple[Process, Process]:
    """Two beats; the first leads."""
    first = station.beat()
    station.wait(lambda: leads(station, first), what="the first beat to lead")
    return first, station.beat()


def leads(station: Station, beat: Process) -> bool:
    """Whether the lease is this beat's."""
    now = "now()" if station.kind == "postgres" else "datetime('now')"
    holders = station.sql(f"SELECT holder FROM jobs_lease WHERE name = 'beat' AND until > {now}")
    return any(f":{beat.pid}:" in row["holder"] for row in holders)


def test_two_beats_enqueue_each_tick_once(running: Station) -> None:
    """Row 11, as far as the lead goes."""
    running.beat()
    running.beat()
    check_one_tick_a_second(running)


def test_another_beat_takes_over_from_a_killed_one(running: Station) -> None:
    first, second = leader_and_next(running)
    first.kill()
    with timed("beats", "takeover from a killed leader s, at a tenth"):
        running.wait(lambda: leads(running, second), TAKEOVER + SLACK, "the takeover")
    [row] = balance(running, [running.post(journaled, countdown=0.5)])
    assert row["state"] == "succeeded"


@pytest.mark.databases("postgres")
def test_another_beat_takes_over_from_a_frozen_one_which_does_no_harm_when_it_wakes(running: Station) -> None:
    first, second = leader_and_next(running)
    frozen = freeze(first)
    with timed("beats", "takeover from a frozen leader s, at a tenth"):
        running.wait(lambda: leads(running, second), TAKEOVER + SLACK, "the takeover")
    ids = [running.post(journaled, countdown=0.5) for _ in range(5)]
    balance(running, ids)
    thaw(frozen)
    check_one_tick_a_second(running)
    ids += [running.post(journaled, countdown=0.5) for _ in range(5)]
    assert {(row["state"], row["attempt"]) for row in balance(running, ids)} == {("succeeded", 1)}
    assert first.running
    # On a busy machine the lead may change, or be nobody's for a moment: a lease lasts little more than a second here.
    running.wait(lambda: leads(running, first) or leads(running, second), what="one of them to lead")


def test_what_fell_due_without_any_beat_runs_when_one_starts(running: Station) -> None:
    ids = [running.post(note, f"nobody led {n}", countdown=1) for n in range(5)]
    time.sleep(2)
    assert {row["state"] for row in running.jobs(ids)} == {"scheduled"}
    running.beat()
    running.wait_ended(ids)
    assert sorted(line for line in running.journal() if line.startswith("nobody led")) == [
        f"nobody led {n}" for n in range(5)
    ]
