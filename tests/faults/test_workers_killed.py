"""Workers are killed: what they held runs elsewhere, and is settled once."""

import signal

import pytest

from tests.plain_tasks import journaled, note
from tests.plain_tasks.breaking import hangs_once
from tests.support import calls
from tests.support.accounts import balance
from tests.support.breaking import BREAKING, RESCUED, SLACK, all_began, began, child_of, freeze, gone, post_many, within
from tests.support.processes import kill
from tests.support.station import Station

ROUNDS = 5
LINES = [f"line{n}" for n in range(ROUNDS)]


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {**BREAKING, "JOBS_QUEUES": ",".join(f"{line}:1" for line in LINES)}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat; each test starts the workers it kills."""
    station.beat()
    return station


@pytest.mark.databases("postgres")
def test_a_killed_worker_loses_none_of_two_hundred_jobs(running: Station) -> None:
    """Row 01."""
    worker = running.worker(concurrency=4)
    ids = post_many(running, 200, 0.05)
    ends = {f"end {id}" for id in ids}
    running.wait(lambda: len(ends.intersection(running.journal())) >= 40)
    worker.kill()
    with within("01", "all 200 done s, at a tenth", RESCUED + 200 * 0.05 / 4 + 2 * SLACK):
        running.worker(concurrency=4)
        rows = balance(running, ids)
    assert {row["state"] for row in rows} == {"succeeded"}
    assert sum(row["crashes"] for row in rows) <= 4, "more crashed than could run at once"


@pytest.mark.databases("sqlite", "postgres")
def test_a_killed_workers_job_runs_elsewhere_in_time(running: Station) -> None:
    """Rows 01b, 01c: the bound is the heartbeat's, whatever the visibility timeout and its sweep."""
    worker = running.worker(concurrency=1, name="first")
    id, behind = running.post(hangs_once), running.post(journaled)
    began(running, id)
    running.worker(concurrency=2, name="second")
    worker.kill()
    with within("01c", "a dead worker's job runs elsewhere s, at a tenth", RESCUED + SLACK):
        began(running, id, times=2)
    [row, _] = balance(running, [id, behind])
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 2, 1)
    assert [attempt["outcome"] for attempt in running.attempts(id)] == ["crashed"]
    assert running.result(id)["worker"].startswith("second@")


@pytest.mark.databases("postgres")
def test_the_children_of_a_killed_parent_end_with_it(running: Station) -> None:
    """Row 01d: a body that never ends has nobody left to end it at its limit."""
    worker = running.worker(concurrency=2)
    ids = [running.post(hangs_once), running.post(hangs_once)]
    all_began(running, ids)
    children = worker.children()
    assert len(children) == 2
    worker.signal(signal.SIGKILL)
    running.wait(lambda: all(gone(pid) for pid in children), 5, "the children to end")
    running.worker(concurrency=2)
    assert {(row["state"], row["attempt"]) for row in balance(running, ids)} == {("succeeded", 2)}


@pytest.mark.databases("postgres")
def test_a_job_handed_to_a_frozen_worker_that_is_killed_is_not_lost(running: Station) -> None:
    """Row 01e: Redis has given the hint away; five times at once, a queue and a worker each."""
    workers = [running.celery(f"worker-{line}", "worker", "-Q", line, "-c", "1", "-n", f"{line}@%h") for line in LINES]
    for line in LINES:
        running.get(running.post(journaled, queue=line), 60)
    for worker in workers:
        freeze(worker)
    ids = [running.post(journaled, queue=line) for line in LINES]
    for worker in workers:
        worker.kill()
    with within("01e", "five lost hints made good s, at a tenth", RESCUED + 2 * SLACK):
        running.worker(",".join(LINES), concurrency=2)
        rows = balance(running, ids)
    assert {(row["state"], row["attempt"]) for row in rows} == {("succeeded", 1)}


@pytest.mark.databases("sqlite", "postgres")
def test_a_killed_child_costs_its_own_job_one_attempt(running: Station) -> None:
    """Row 02: its parent tells, and nobody waits for its silence."""
    worker = running.worker(concurrency=1)
    id = running.post(hangs_once)
    began(running, id)
    kill(child_of(running, worker))
    # The parent counts its children every 5 seconds.
    with within("02", "a dead child's job runs again s", 5 + SLACK):
        began(running, id, times=2)
    [row] = balance(running, [id])
    assert (row["attempt"], row["crashes"]) == (2, 1)
    assert [attempt["outcome"] for attempt in running.attempts(id)] == ["crashed"]
    assert worker.running


@pytest.mark.databases("postgres")
def test_a_revoked_job_does_not_run_again_after_its_workers_death(running: Station) -> None:
    """Row 17: a revoke stands in the table, not in a worker's memory."""
    worker = running.worker(concurrency=1)
    first = running.post(hangs_once)
    began(running, first)
    waiting = [running.post(note, "revoked while it waited") for _ in range(3)]
    for id in [first, *waiting]:
        running.call(calls.revoke, id)
    worker.kill()
    running.worker(concurrency=1)
    after = running.post(journaled)
    balance(running, [after])
    rows = balance(running, [first, *waiting])
    assert {running.call(calls.status, row["id"]) for row in rows} == {"REVOKED"}
    assert [row["attempt"] for row in rows] == [1, 0, 0, 0]
    assert running.journal().count(f"start {first}") == 1
    assert "revoked while it waited" not in running.journal()
