"""A worker forks its children again and again; no connection crosses that."""

from collections import defaultdict

import psutil
import pytest

from tests.support.accounts import read
from tests.support.backend_tasks import whereabouts
from tests.support.environment import PLAIN_TASKS
from tests.support.processes import Process, kill
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")
CHILDREN = 3


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": f"{PLAIN_TASKS},tests.support.backend_tasks"}


def used(station: Station) -> list[dict[str, int]]:
    """What every child of the worker says of its connections."""
    ids = [station.post(whereabouts) for _ in range(12)]
    station.wait_ended(ids)
    assert not any(read(station, ids).letters.values())
    return [station.value(id) for id in ids]


def holders(station: Station, worker: Process) -> dict[int, set[int]]:
    """Who of the worker's processes has a socket of each connection that PostgreSQL serves, by the client's port."""
    query = "SELECT client_port FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ports = {row["client_port"] for row in station.sql(query)}
    found: dict[int, set[int]] = defaultdict(set)
    for pid in (worker.pid, *worker.children()):
        for socket in psutil.Process(pid).net_connections("tcp"):
            if socket.laddr.port in ports:
                found[socket.laddr.port].add(pid)
    return found


def check_apart(station: Station, worker: Process) -> None:
    """Each process that ran a body has its own two connections, and shares no socket with another."""
    told = used(station)
    for kind in ("postgres", "redis"):
        pairs = {(each["pid"], each[kind]) for each in told}
        assert len({name for _, name in pairs}) == len({pid for pid, _ in pairs}) == len(pairs), f"shared: {told}"
    assert len(holders(station, worker)) >= len({each["pid"] for each in told})
    assert all(len(pids) == 1 for pids in holders(station, worker).values()), holders(station, worker)


def test_no_connection_crosses_a_fork(station: Station) -> None:
    worker = station.worker(concurrency=CHILDREN)
    station.beat()
    check_apart(station, worker)
    for pid in worker.children():
        kill(pid)
    station.wait(lambda: len(worker.children()) == CHILDREN, what="new children")
    check_apart(station, worker)
