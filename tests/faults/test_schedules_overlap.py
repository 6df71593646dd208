"""Jobs that run longer than their schedule's interval, jobs that fail in a row, pauses that end: with a real worker."""

import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from jobs.policies import Overlap
from jobs.schedules import pressing
from tests.plain_tasks import fail, journaled
from tests.support import scheduling
from tests.support.scheduling import (
    ALL,
    Wish,
    check_once_each,
    columns_of,
    install,
    jobs_of,
    now,
    set_up,
    stands,
    ticked,
    ticks_of,
)
from tests.support.station import ENDED, Station

pytestmark = pytest.mark.databases("postgres")
POLICIES = ("allow", "skip", "queue", "cancel")
#: Seconds: a run takes longer than two intervals.
LONG = 2.3


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a beat and room for every job at once."""
    set_up(station)
    station.worker("default", concurrency=6)
    station.beat()
    return station


def test_runs_longer_than_the_interval_overlap_only_where_they_may(running: Station) -> None:
    station = running
    columns = {"task": journaled.name, "args": f"[{LONG}]"}
    station.call(install, [Wish(each, every=1, policy={"overlap": each}, columns=columns) for each in POLICIES])
    for each in POLICIES:
        ticked(station, each, 8)
        station.call(scheduling.update, each, enabled=False)
    station.wait(lambda: all(_ended(station, each) for each in POLICIES), what="all of them to end")
    together = {each: _at_once(station, each) for each in POLICIES}
    assert together["allow"] >= 2
    assert (together["skip"], together["queue"], together["cancel"]) == (1, 1, 1)
    why = {each: Counter(tick["why"] for tick in check_once_each(station, each)) for each in POLICIES}
    assert set(why["allow"]) == {""}
    assert set(why["skip"]) == {"", "overlap"}
    assert why["skip"]["overlap"] >= 3
    # What waits when a schedule is switched off is given up.
    assert set(why["queue"]) - {"paused"} == {"", "overlap"}
    assert set(why["cancel"]) - {"paused"} <= {"", "superseded"}
    assert max(why["queue"]["paused"], why["cancel"]["paused"]) <= 1
    states = {each: Counter(job["state"] for job in station.call(jobs_of, each)) for each in POLICIES}
    assert states["cancel"]["cancelled"] >= 3
    assert {state for each in ("allow", "skip", "queue") for state in states[each]} == {"succeeded"}


def _ended(station: Station, name: str) -> bool:
    """Whether no job of it is left to run, and no tick waits."""
    ticks = station.call(ticks_of, name)
    return all(job["state"] in ENDED for job in station.call(jobs_of, name)) and all(
        tick["outcome"] != "waits" for tick in ticks
    )


def _at_once(station: Station, name: str) -> int:
    """How many of its jobs ran at the same time, at most, as the rows say."""
    jobs = [job for job in station.call(jobs_of, name) if job["started_at"]]
    events = [(job["started_at"], 1) for job in jobs] + [(job["finished_at"], -1) for job in jobs]
    most = current = 0
    for _, step in sorted(events, key=lambda event: (event[0], event[1])):
        current += step
        most = max(most, current)
    return most


def test_a_queued_tick_runs_soon_after_the_one_before_it_has_ended(running: Station) -> None:
    """At most one waits, and it is the first."""
    station = running
    columns = {"task": journaled.name, "args": f"[{LONG}]"}
    station.call(install, [Wish("in turn", every=1, policy={"overlap": Overlap.QUEUE}, columns=columns)])
    ticked(station, "in turn", 7)
    jobs = station.wait(lambda: _started(station, "in turn", 3), what="the third run")
    for before, after in pairwise(jobs):
        assert timedelta() <= after["started_at"] - before["finished_at"] < timedelta(seconds=2)
    station.call(scheduling.update, "in turn", enabled=False)
    waiting = [tick for tick in station.call(ticks_of, "in turn") if tick["outcome"] == "waits"]
    assert len(waiting) <= 1


def _started(station: Station, name: str, number: int) -> list[dict[str, Any]]:
    """Its first jobs by their begin, when so many have begun."""
    jobs = sorted((job for job in station.call(jobs_of, name) if job["started_at"]), key=lambda job: job["started_at"])
    return jobs[:number] if len(jobs) >= number else []


def test_failures_in_a_row_pause_a_schedule_and_say_so(running: Station) -> None:
    station = running
    columns = {"task": fail.name, "args": '["no luck"]'}
    station.call(install, [Wish("unlucky", every=1, policy={"pause_after": 2}, columns=columns)])
    station.wait(lambda: not station.call(columns_of, "unlucky")["enabled"], what="the pause")
    ticks, jobs = check_once_each(station, "unlucky"), station.call(jobs_of, "unlucky")
    assert ticks[-1]["why"] == "paused"
    assert 2 <= len(jobs) <= 3
    [note] = station.sql(
        "SELECT paused_by, pause_reason, resume_at FROM jobs_schedulepolicy "
        "JOIN django_celery_beat_periodictask AS task ON task.id = schedule_id WHERE task.name = %s",
        "unlucky",
    )
    assert (note["paused_by"], note["resume_at"]) == ("beat", None)
    assert "no luck" in note["pause_reason"]
    told = station.sql("SELECT by FROM jobs_activity WHERE action = 'pause' AND key = %s", "unlucky")
    assert told == [{"by": "beat"}]
    time.sleep(1.5)
    assert station.call(jobs_of, "unlucky") == jobs
    [key] = station.sql("SELECT id FROM django_celery_beat_periodictask WHERE name = %s", "unlucky")
    station.call(pressing.resume, [key["id"]], "somebody")
    station.wait(lambda: len(station.call(jobs_of, "unlucky")) >= len(jobs) + 2, what="two more tries")
    station.wait(lambda: not station.call(columns_of, "unlucky")["enabled"], what="the next pause")


def test_a_pause_ends_at_its_time_and_its_ticks_are_not_made_up(running: Station) -> None:
    station = running
    key = station.call(install, [Wish("resting", every=1, policy=ALL)])["resting"]
    stands(station, "resting")
    ticked(station, "resting")
    until = station.call(now) + timedelta(seconds=3)
    station.call(pressing.pause, [key], "somebody", "a rest", until)
    time.sleep(0.5)
    before = len(station.call(ticks_of, "resting"))
    ticks = ticked(station, "resting", before + 2)
    assert all(tick["at"] >= until for tick in ticks[before:])
    assert {(tick["outcome"], tick["count"]) for tick in ticks} == {("run", 1)}
    assert station.call(columns_of, "resting")["enabled"]
    [note] = station.sql("SELECT paused_at, resume_at FROM jobs_schedulepolicy WHERE schedule_id = %s", key)
    assert note == {"paused_at": None, "resume_at": None}
