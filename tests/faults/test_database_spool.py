"""A body ends while the database is away: its outcome stands, whatever becomes of the process that ran it."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from celery import chain, chord
from django.utils import timezone

from tests.plain_tasks import outcomes
from tests.support.accounts import balance
from tests.support.outages import stopped
from tests.support.processes import Process, kill
from tests.support.station import Station
from tests.support.variants import BRIEF, HURRIED, variables

pytestmark = pytest.mark.databases("postgres")

#: Longer than the patience of a hurried worker.
OUTAGE = 2.5
#: Bodies that run at once: one of each kind, and two members of a chord.
BODIES = 8


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.outcomes"}


def post_all() -> dict[str, str]:
    """One job for each way to end; what comes after it is not there yet."""
    steps = chain(outcomes.succeeding.s(), outcomes.collected.s()).apply_async()
    body = chord([outcomes.succeeding.s(), outcomes.succeeding.s()], outcomes.collected.s()).apply_async()
    first, second = body.parent.children
    single = {task.name.rpartition(".")[2]: task.delay().id for task in SINGLE}
    return {
        **single,
        "step": steps.parent.id,
        "next": steps.id,
        "first": first.id,
        "second": second.id,
        "body": body.id,
    }


SINGLE = (
    outcomes.succeeding,
    outcomes.quiet_succeeding,
    outcomes.failing,
    outcomes.retrying,
    outcomes.quiet_retrying,
)


@dataclass
class Aftermath:
    """The jobs, when their bodies were told to end, and when all had ended: long before the outage's end."""

    ids: dict[str, str]
    told: datetime
    kept: datetime


# --- what becomes of the worker, between the end of the bodies and the return of the database ---


def nothing(station: Station, worker: Process) -> None:
    """It waits."""
    time.sleep(OUTAGE)


def child_killed(station: Station, worker: Process) -> None:
    for child in worker.children():
        kill(child)
    station.wait(lambda: "exited prematurely" in worker.output() or "WorkerLostError" in worker.output())


def worker_killed(station: Station, worker: Process) -> None:
    worker.kill()
    start(station)


def worker_stopped_softly(station: Station, worker: Process) -> None:
    """What a container's stop sends where REMAP_SIGTERM is set."""
    worker.signal(signal.SIGTERM)
    worker.ended(20)
    start(station)


def start(station: Station) -> None:
    """The next worker; it waits for its database."""
    options = ["-Q", "default", "-c", str(BODIES), "-n", f"spool-{len(station.processes)}@%h"]
    worker = station.celery(f"worker-{len(station.processes)}", "worker", *options)
    station.wait(lambda: "heartbeat can't be written" in worker.output(), 60)


FATES: dict[str, tuple[Callable[[Station, Process], None], dict[str, str]]] = {
    "waits": (nothing, {}),
    "loses patience": (nothing, {"DJANGO_SETTINGS_MODULE": HURRIED}),
    "loses its child": (child_killed, {}),
    "is killed": (worker_killed, {}),
    "is stopped softly": (worker_stopped_softly, {"DJANGO_SETTINGS_MODULE": BRIEF, "REMAP_SIGTERM": "SIGQUIT"}),
}


@pytest.fixture(scope="module")
def beat(station: Station) -> Process:
    return station.beat()


@pytest.fixture(scope="module", params=FATES)
def aftermath(request: pytest.FixtureRequest, station: Station, beat: Process) -> Iterator[Aftermath]:
    """All jobs have ended: their bodies in an outage, in which this happened to their worker."""
    fate, more = FATES[request.param]
    before = list(station.processes)
    (station.data / "journal").unlink(missing_ok=True)
    with variables(station, **more):
        worker = station.worker("default", BODIES)
    yield outlive(station, worker, fate, beat)
    station.end([process for process in station.processes if process not in before])


def outlive(station: Station, worker: Process, fate: Callable[[Station, Process], None], beat: Process) -> Aftermath:
    ids = station.call(post_all)
    station.wait(lambda: counted(station, "start") == BODIES, what="all bodies to begin")
    with stopped(station):
        told = timezone.now()
        station.write(outcomes.GO)
        station.wait(lambda: counted(station, "end") == BODIES)
        station.wait(lambda: len(entries(station)) == BODIES, what="an entry in the spool for each")
        kept = timezone.now()
        fate(station, worker)
        if not worker.running:
            # The rescuer leaves the next worker two heartbeats; a tenth of them is nothing on a busy machine.
            beat.pause()
    station.wait(lambda: not entries(station), what="the spool to be told")
    beat.resume()
    station.wait_ended(list(ids.values()), 60)
    return Aftermath(ids, told, kept)


def counted(station: Station, word: str) -> int:
    return sum(line.startswith(word) for line in station.journal())


def entries(station: Station) -> list[Path]:
    return list((station.data / "spool").glob("*.entry"))


def check(station: Station, id: str, state: str, attempts: int = 1) -> None:
    """Ended so, after so many runs, none of them a crash."""
    row = station.job(id)
    assert (row["state"], row["attempt"], row["crashes"]) == (state, attempts, 0), station.attempts(id)
    assert station.journal().count(f"start {id}") == attempts


# --- what must not be lost ---


def test_a_success_keeps_its_result(aftermath: Aftermath, station: Station) -> None:
    id = aftermath.ids["succeeding"]
    check(station, id, "succeeded")
    balance(station, [id])
    assert station.value(id) == id


def test_a_success_without_a_result_is_one(aftermath: Aftermath, station: Station) -> None:
    check(station, aftermath.ids["quiet_succeeding"], "succeeded")
    assert station.result(aftermath.ids["quiet_succeeding"]) == {}


def test_a_failure_is_filed_once_with_its_traceback(aftermath: Aftermath, station: Station) -> None:
    id = aftermath.ids["failing"]
    check(station, id, "dead")
    balance(station, [id])
    [letter], [attempt] = station.letters(id), station.attempts(id)
    assert (letter["status"], letter["reason"]) == ("open", "not_retryable")
    for text in (attempt["traceback"], station.result(id)["traceback"]):
        assert 'raise ValueError("failed on purpose")' in text


def test_a_retry_keeps_its_message_and_its_time(aftermath: Aftermath, station: Station) -> None:
    id = aftermath.ids["retrying"]
    check(station, id, "succeeded", attempts=2)
    balance(station, [id])
    [attempt] = station.attempts(id)
    assert (attempt["outcome"], attempt["message"]) == ("retried", "no answer")
    assert station.value(id) == "second"
    told, run_at, kept = aftermath.told, station.job(id)["run_at"], aftermath.kept
    assert told <= run_at - timedelta(seconds=2) <= kept, "counted from the outage's end"
    check(station, aftermath.ids["quiet_retrying"], "succeeded", attempts=2)


def test_the_next_step_is_enqueued_once(aftermath: Aftermath, station: Station) -> None:
    check(station, aftermath.ids["step"], "succeeded")
    check(station, aftermath.ids["next"], "succeeded")
    assert station.value(aftermath.ids["next"]) == aftermath.ids["step"]


def test_members_count_once_and_the_body_runs_once(aftermath: Aftermath, station: Station) -> None:
    members = [aftermath.ids["first"], aftermath.ids["second"]]
    for id in (*members, aftermath.ids["body"]):
        check(station, id, "succeeded")
    assert station.value(aftermath.ids["body"]) == members


def test_nothing_is_left_in_the_spool(aftermath: Aftermath, station: Station) -> None:
    station.wait(lambda: not entries(station))
    assert not [path for path in (station.data / "spool").iterdir() if path.suffix == ".unreadable"]
