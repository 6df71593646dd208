"""SQLite has one writer at a time: the others wait, and who waited too long is told so in words."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.plain_tasks import journaled
from tests.support.accounts import balance
from tests.support.breaking import began
from tests.support.databases import Databases
from tests.support.effect_tasks import charging, writing
from tests.support.outages import away, write_locked
from tests.support.pressing import Person
from tests.support.station import Station

pytestmark = pytest.mark.databases("sqlite")

TASKS = {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.support.effect_tasks"}
#: With these a writer gives up after a second.
HURRIED = {**TASKS, "DJANGO_SETTINGS_MODULE": "tests.support.hurried_settings"}
#: As SQLite puts it.
RAW = "database is locked"
WORDS = "The database does not answer, or another process keeps it busy. Nothing was accepted; try again."
HOUR = 3600


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return TASKS


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A whole station, with the timeouts that are shipped."""
    return _whole(station)


@pytest.fixture(scope="module")
def hurried(databases: Databases) -> Iterator[Station]:
    """A whole station whose writers give up soon."""
    station = Station("sqlite", databases, HURRIED)
    yield _whole(station)
    station.remove()


def _whole(station: Station) -> Station:
    station.web()
    station.beat()
    station.worker("default", concurrency=4)
    return station


class Doors:
    """One call by each door that writes, at the same time; and jobs for them to act on."""

    def __init__(self, station: Station, name: str) -> None:
        self.station, self.name, self.token = station, name, station.token()
        self.person = Person(station, name)
        self.waiting = [station.post(journaled, countdown=HOUR) for _ in range(3)]

    def knock(self, pool: ThreadPoolExecutor) -> dict[str, Future[Any]]:
        calls: dict[str, Callable[[], Any]] = {
            "post": lambda: self._http("/tasks/tests.plain_tasks.journaled"),
            "keyed": lambda: self._http("/tasks/tests.plain_tasks.journaled", {"Idempotency-Key": self.name}),
            "revoke": lambda: self._http(f"/tasks/{self.waiting[0]}/revoke"),
            "cancel": lambda: self.person.press("cancel", self.waiting[1]),
            "enqueue": lambda: self._manage("enqueue", "tests.plain_tasks.journaled"),
            "jobs cancel": lambda: self._manage("jobs", "cancel", self.waiting[2]),
        }
        return {name: pool.submit(call) for name, call in calls.items()}

    def states(self) -> list[str]:
        return [row["state"] for row in self.station.jobs(self.waiting)]

    def _http(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return self.station.http("POST", path, {}, token=self.token, timeout=90, headers=headers or {})

    def _manage(self, *args: str) -> Any:
        return self.station.manage(*args, check=False)


def _accepted(answers: dict[str, Any]) -> list[str]:
    """Every door did what it was asked; the ids of the jobs that were posted."""
    assert [answers[name].status_code for name in ("post", "keyed", "revoke", "cancel")] == [202, 202, 200, 200]
    assert "Cancelled 1 job." in answers["cancel"].text
    commands = [answers["enqueue"], answers["jobs cancel"]]
    assert [(done.returncode, done.stderr) for done in commands] == [(0, "")] * 2
    return [answers["post"].json()["task_id"], answers["keyed"].json()["task_id"], answers["enqueue"].stdout.strip()]


def _refused(answers: dict[str, Any]) -> None:
    """Every door said that the database is busy, and nothing else."""
    for name in ("post", "keyed", "revoke"):
        assert (answers[name].status_code, answers[name].json()["detail"]) == (503, WORDS)
        assert answers[name].headers["Retry-After"] == "5"
    assert answers["cancel"].status_code == 503
    assert WORDS in answers["cancel"].text
    for name in ("enqueue", "jobs cancel"):
        assert (answers[name].returncode, answers[name].stderr) == (1, f"CommandError: {WORDS}\n")


def _said_nowhere(station: Station) -> None:
    logs = station.logs().items()
    assert [name for name, log in logs if RAW in log or "OperationalError" in log] == []


@pytest.mark.parametrize("seconds", [3, 10])
def test_writers_wait_for_one_that_ends(running: Station, seconds: float) -> None:
    doors = Doors(running, f"patient-{seconds}")
    through = running.post(journaled, kwargs={"seconds": seconds + 2})
    began(running, through)
    due = running.post(journaled, countdown=seconds / 2)
    bodies = [running.post(task, f"{task.name}-{seconds}", countdown=0.5) for task in (writing, charging)]
    time.sleep(0.3)
    with ThreadPoolExecutor(8) as pool:
        with write_locked(running):
            at = time.monotonic()
            knocking = doors.knock(pool)
            time.sleep(seconds)
            assert not any(knocking[name].done() for name in ("post", "keyed", "revoke", "cancel"))
        posted = _accepted({name: answer.result(60) for name, answer in knocking.items()})
    assert time.monotonic() - at < seconds + 30
    assert doors.states() == ["cancelled"] * 3
    assert [row["attempt"] for row in balance(running, [through, due, *posted])] == [1] * 5
    assert [(row["state"], row["attempt"]) for row in running.wait_ended(bodies)] == [("succeeded", 1)] * 2
    _said_nowhere(running)


def test_a_body_that_writes_waits_within_its_attempt(running: Station) -> None:
    id = running.post(writing, "inside", 2)
    began(running, "inside")
    with write_locked(running):
        time.sleep(5)
        assert "told inside" not in running.journal()
    row = running.wait_state(id, "succeeded")
    assert (row["attempt"], row["progress"]) == (1, '{"done": 1, "total": 2, "note": "half"}')


def test_a_body_that_waited_too_long_loses_its_progress_and_is_told_so_where_it_writes(hurried: Station) -> None:
    id = hurried.post(writing, "outside", 2)
    began(hurried, "outside")
    away(hurried, write_locked, 6)
    row = hurried.wait_state(id, "succeeded")
    first = hurried.attempts(id)[0]
    assert (first["error"], first["outcome"], row["crashes"]) == ("DatabaseBusy", "retried", 0)
    assert first["message"].startswith("Another process has been writing to the database for more than 1 s. Try again")
    assert RAW not in first["traceback"]
    assert hurried.journal().count("told outside") == row["attempt"]


def test_who_waited_too_long_is_told_so_by_every_door(hurried: Station) -> None:
    doors = Doors(hurried, "hurried")
    posted = "SELECT id FROM jobs_job WHERE task = 'tests.plain_tasks.journaled' ORDER BY id"
    before = hurried.sql(posted)
    with ThreadPoolExecutor(8) as pool, write_locked(hurried):
        _refused({name: answer.result(90) for name, answer in doors.knock(pool).items()})
    assert hurried.sql(posted) == before
    assert doors.states() == ["scheduled"] * 3
    _said_nowhere(hurried)


def test_what_ran_and_what_was_due_meanwhile_ends_once(hurried: Station) -> None:
    through = [hurried.post(journaled, kwargs={"seconds": seconds}) for seconds in (1, 2, 7)]
    for id in through:
        began(hurried, id)
    due = hurried.post(journaled, countdown=1)
    away(hurried, write_locked, 6)
    assert [row["attempt"] for row in balance(hurried, [*through, due])] == [1] * 4
    _said_nowhere(hurried)


def test_the_shipped_patience_ends_in_words_too(running: Station) -> None:
    doors = Doors(running, "shipped")
    with ThreadPoolExecutor(8) as pool, write_locked(running):
        at = time.monotonic()
        _refused({name: answer.result(90) for name, answer in doors.knock(pool).items()})
        assert time.monotonic() - at > 29
    assert doors.states() == ["scheduled"] * 3
    id = running.post(journaled)
    balance(running, [id])
    _said_nowhere(running)
