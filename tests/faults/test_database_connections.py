"""Connections that break, and answers that get lost on the way, as behind PgBouncer or a load balancer."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import chain, chord

from tests.plain_tasks import journaled, outcomes
from tests.support.accounts import balance
from tests.support.backend_tasks import backend
from tests.support.console import Console, RemoteError
from tests.support.network import Network, network
from tests.support.outages import cut_once
from tests.support.processes import Process
from tests.support.rows import Row
from tests.support.station import Station
from tests.support.variants import variables

CHILDREN = 5

pytestmark = pytest.mark.databases("postgres")


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    modules = ["tests.plain_tasks", "tests.plain_tasks.outcomes", "tests.support.backend_tasks"]
    return {"JOBS_TASK_MODULES": ",".join(modules)}


@pytest.fixture(scope="module")
def way(station: Station) -> Iterator[Network]:
    """What lies between a worker and its database."""
    with network(station.databases.server().port) as made:
        yield made


@pytest.fixture(scope="module")
def behind(station: Station, way: Network) -> tuple[Process, Console]:
    """A worker and a caller that reach the database through the relay; `station` itself goes past it."""
    station.beat()
    name = station.database_url.rpartition("/")[2]
    with variables(station, DATABASE_URL=f"postgres://stationmaster@127.0.0.1:{way.port}/{name}"):
        return station.worker("default", concurrency=CHILDREN), station.console()


def check_once(station: Station, ids: list[str]) -> list[Row]:
    rows = balance(station, ids)
    assert [row["crashes"] for row in rows] == [0] * len(rows)
    for row in rows:
        assert station.journal().count(f"start {row['id']}") == row["attempt"]
    return rows


def test_a_connection_closed_between_two_jobs_is_opened_anew(
    station: Station, way: Network, behind: tuple[Process, Console]
) -> None:
    """The server ends it, or the relay does: the next job runs at once, and its body's statements too."""
    used = set()
    for cut in (lambda: None, lambda: cut_once(station), way.cut) * 3:
        cut()
        id = station.post(backend)
        row = station.wait_state(id, "succeeded", timeout=10)
        assert row["attempt"] == 1
        used.add(station.value(id))
    assert len(used) >= 3, "no connection was closed under the jobs"


def test_a_claim_whose_answer_got_lost_is_the_same_claim(
    station: Station, way: Network, behind: tuple[Process, Console]
) -> None:
    """The database has committed it, the worker does not know: one attempt, one run."""
    way.lose_answers("SET state = 'running'")
    ids = [station.post(journaled) for _ in range(2)]
    for id in ids:
        station.wait_state(id, "running")
    time.sleep(0.2)
    assert not [line for line in station.journal() if line.removeprefix("start ") in ids]
    way.cut()
    assert {row["attempt"] for row in check_once(station, ids)} == {1}


def post_all() -> dict[str, str]:
    steps = chain(outcomes.succeeding.s(), outcomes.collected.s()).apply_async()
    body = chord([outcomes.succeeding.s(), outcomes.succeeding.s()], outcomes.collected.s()).apply_async()
    first, second = body.parent.children
    failed, again = outcomes.failing.delay(), outcomes.retrying.delay()
    names = ("step", "next", "first", "second", "body", "failed", "again")
    results = (steps.parent, steps, first, second, body, failed, again)
    return {name: result.id for name, result in zip(names, results, strict=True)}


def test_a_settle_whose_answer_got_lost_is_not_done_twice(
    station: Station, way: Network, behind: tuple[Process, Console]
) -> None:
    """Success, failure, retry, next step and chord member are committed, and tried once more."""
    ids = station.call(post_all)
    bodies = [ids[name] for name in ("step", "first", "second", "failed", "again")]
    station.wait(lambda: {f"start {id}" for id in bodies} <= {*station.journal()})
    way.lose_answers("COMMIT")
    station.write(outcomes.GO)
    for name in ("step", "first", "second", "failed"):
        station.wait(lambda name=name: station.job(ids[name])["state"] != "running", 10)  # type: ignore[misc]
    way.cut()
    check_once(station, list(ids.values()))
    states = {name: station.job(id)["state"] for name, id in ids.items()}
    assert states == {**dict.fromkeys(ids, "succeeded"), "failed": "dead"}
    assert [station.job(id)["attempt"] for id in ids.values()] == [1, 1, 1, 1, 1, 1, 2]
    assert station.value(ids["body"]) == [ids["first"], ids["second"]]
    assert len(station.letters(ids["failed"])) == 1


def post(id: str) -> str:
    return str(journaled.apply_async(task_id=id).id)


def test_a_caller_who_does_not_know_posts_the_id_again(
    station: Station, way: Network, behind: tuple[Process, Console]
) -> None:
    """The row is committed, the answer lost: the caller is told an error, and the second post is the same job."""
    _, console = behind
    with ThreadPoolExecutor(1) as caller:
        way.lose_answers("COMMIT")
        posting = caller.submit(console.call, post, "unknown")
        station.wait(lambda: station.job("unknown"))
        way.cut()
        with pytest.raises(RemoteError) as raised:
            posting.result(20)
    assert raised.value.name in ("OperationalError", "InterfaceError")
    assert console.call(post, "unknown") == "unknown"
    [row] = check_once(station, ["unknown"])
    assert row["attempt"] == 1
    assert station.sql("SELECT count(*) AS n FROM jobs_job WHERE id = 'unknown'") == [{"n": 1}]


def test_a_worker_that_was_frozen_finds_its_connections_closed(
    station: Station, way: Network, behind: tuple[Process, Console]
) -> None:
    """For less than its silence: it goes on with its jobs."""
    worker, _ = behind
    ids = [station.post(journaled, 0.5) for _ in range(8)]
    station.wait_state(ids[0], "running")
    worker.signal(signal.SIGSTOP)
    way.cut()
    time.sleep(1)
    worker.signal(signal.SIGCONT)
    assert {row["attempt"] for row in check_once(station, ids)} == {1}
