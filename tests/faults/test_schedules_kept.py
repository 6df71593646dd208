"""What users of django-celery-beat rely on, with two beats at once: each tick one job, each column as it says."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.plain_tasks import echo, whoami
from tests.support.scheduling import (
    ALL,
    Wish,
    check_gapless,
    check_once_each,
    columns_of,
    install,
    jobs_of,
    now,
    set_up,
    stands,
    ticked,
    ticks_of,
    update,
)
from tests.support.station import Station

CRON = {"minute": "*", "hour": "*", "day_of_week": "*", "day_of_month": "*", "month_of_year": "*", "timezone": "UTC"}
#: Seconds after which something has not happened; beats of these tests look every tenth of one.
QUIET = 2.0


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.ticking"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker, two beats, a schedule for each second and one for each minute."""
    set_up(station, Wish("each second", every=1, policy=ALL), Wish("each minute", cron=CRON))
    station.worker("default", concurrency=2)
    beats = [station.beat(), station.beat()]
    assert all(beat.running for beat in beats)
    stands(station, "each second", "each minute", "plain tick")
    return station


def test_two_beats_make_one_job_of_each_tick(running: Station) -> None:
    """Row 11: exactly double, with the stock scheduler."""
    ticked(running, "each second", 4)
    ticks = check_gapless(running, "each second")
    assert {tick["outcome"] for tick in ticks} == {"run"}
    rows = running.wait_ended([tick["job_id"] for tick in ticks])
    assert {(row["state"], row["attempt"]) for row in rows} == {("succeeded", 1)}
    assert all(tick["decided_at"] >= tick["at"] for tick in ticks)


def test_the_schedules_of_the_code_are_installed_and_kept(running: Station) -> None:
    """`app.conf.beat_schedule`, as Celery's guide has it."""
    [tick, *_] = ticked(running, "plain tick")
    assert running.call(columns_of, "plain tick")["task"] == whoami.name
    assert running.wait_state(tick["job_id"], "succeeded")["schedule"] == "plain tick"


def test_a_clocked_schedule_runs_once_at_its_time(running: Station) -> None:
    at = running.call(now) + timedelta(seconds=1.5)
    running.call(install, [Wish("clocked", at=at)])
    [tick] = ticked(running, "clocked")
    assert abs(tick["at"] - at) < timedelta(milliseconds=1)
    assert tick["decided_at"] >= at
    running.wait(lambda: not running.call(columns_of, "clocked")["enabled"], what="its end")
    running.call(update, "clocked", enabled=True)
    time.sleep(QUIET)
    assert len(check_once_each(running, "clocked")) == 1


def test_a_one_off_runs_once_and_is_disabled(running: Station) -> None:
    running.call(install, [Wish("one off", every=1, columns={"one_off": True})])
    ticked(running, "one off")
    time.sleep(QUIET)
    assert len(check_once_each(running, "one off")) == 1
    assert running.call(columns_of, "one off")["enabled"] is False


def test_nothing_runs_before_its_start_time_and_the_first_tick_is_it(running: Station) -> None:
    start = running.call(now) + timedelta(seconds=2)
    running.call(install, [Wish("starting", every=1, policy=ALL, columns={"start_time": start})])
    ticked(running, "starting", 2)
    first, second, *_ = check_gapless(running, "starting")
    assert abs(first["at"] - start) < timedelta(milliseconds=1)
    assert second["at"] - first["at"] == timedelta(seconds=1)


def test_what_expires_stops_and_is_disabled(running: Station) -> None:
    end = running.call(now) + timedelta(seconds=2.5)
    running.call(install, [Wish("ending", every=1, columns={"expires": end})])
    running.wait(lambda: not running.call(columns_of, "ending")["enabled"], what="its end")
    ticks = check_once_each(running, "ending")
    assert 1 <= len(ticks) <= 3
    assert all(tick["at"] <= end for tick in ticks)


def test_a_job_that_is_not_begun_within_expire_seconds_expires(running: Station) -> None:
    """Nobody works on `emails` here."""
    columns = {"expire_seconds": 1, "queue": "emails", "one_off": True}
    running.call(install, [Wish("too late", every=1, columns=columns)])
    [tick] = ticked(running, "too late")
    row = running.wait_state(tick["job_id"], "expired")
    assert 0.9 < (_moment(row["expires_at"]) - _moment(row["created_at"])).total_seconds() < 1.5


def test_headers_arguments_queue_and_priority_reach_the_job(running: Station) -> None:
    columns = {
        "task": echo.name,
        "args": '[1, "two"]',
        "kwargs": '{"three": 3}',
        "headers": '{"tenant": "north"}',
        "queue": "heavy",
        "priority": 3,
        "one_off": True,
    }
    running.call(install, [Wish("laden", every=1, columns=columns)])
    [tick] = ticked(running, "laden")
    [job] = running.call(jobs_of, "laden")
    assert (job["id"], job["task"], job["queue"], job["priority"]) == (tick["job_id"], echo.name, "heavy", 3)
    headers = json.loads(job["envelope"])["headers"]
    assert (headers["tenant"], headers["periodic_task_name"]) == ("north", "laden")
    assert datetime.fromisoformat(headers["tick"]) == tick["at"]
    running.worker("heavy", concurrency=1)
    running.wait_state(job["id"], "succeeded")
    assert running.value(job["id"]) == {"args": [1, "two"], "kwargs": {"three": 3}}


def test_a_disabled_schedule_stops_and_an_enabled_one_starts_from_that_moment(running: Station) -> None:
    running.call(install, [Wish("switched", every=1, policy=ALL)])
    ticked(running, "switched")
    running.call(update, "switched", enabled=False)
    time.sleep(0.5)
    before = len(running.call(ticks_of, "switched"))
    time.sleep(QUIET)
    assert len(running.call(ticks_of, "switched")) == before
    again = running.call(now)
    running.call(update, "switched", enabled=True)
    ticks = ticked(running, "switched", before + 1)
    assert ticks[before]["at"] > again
    assert {tick["outcome"] for tick in check_once_each(running, "switched")} == {"run"}


def test_its_runs_are_counted_and_the_last_one_is_told(running: Station) -> None:
    running.call(install, [Wish("counted", every=1)])
    ticked(running, "counted", 2)
    running.call(update, "counted", enabled=False)
    time.sleep(0.5)
    ticks, row = running.call(ticks_of, "counted"), running.call(columns_of, "counted")
    assert row["total_run_count"] == len(ticks)
    assert abs(row["last_run_at"] - ticks[-1]["at"]) < timedelta(seconds=1)


def test_each_minute_is_one_job_and_so_is_each_second_until_the_end(running: Station) -> None:
    """Two beats, all the time that the other tests took."""
    ticked(running, "each minute", timeout=70)
    for name in ("each minute", "each second"):
        ticks = check_gapless(running, name)
        assert {(tick["outcome"], tick["count"]) for tick in ticks} == {("run", 1)}
        assert all(tick["at"].microsecond == 0 for tick in ticks) or name == "each second"


def _moment(value: object) -> datetime:
    """A time as the database tells it past Django."""
    told = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return told if told.tzinfo else told.replace(tzinfo=UTC)
