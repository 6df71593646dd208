"""A worker's database connections stay open between jobs, and none crosses a fork."""

import pytest

from tests.support.backend_tasks import backend
from tests.support.environment import PLAIN_TASKS
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")
CONCURRENCY = 2


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": f"{PLAIN_TASKS},tests.support.backend_tasks"}


def open_backends(station: Station) -> set[int]:
    """The PostgreSQL backends that serve this station's database, but not the one that asks."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return {row["pid"] for row in station.sql(query)}


def test_twelve_jobs_use_one_connection_a_child(station: Station) -> None:
    station.worker(concurrency=CONCURRENCY)
    ids = [station.post(backend) for _ in range(12)]
    assert {job["state"] for job in station.wait_ended(ids)} == {"succeeded"}
    used = {station.value(job_id) for job_id in ids}
    assert 1 <= len(used) <= CONCURRENCY
    assert used <= open_backends(station), "the connections were closed after the jobs"
    # The children's, the console's that posts, and the heartbeat's while it beats.
    assert len(open_backends(station) - used) <= 2
