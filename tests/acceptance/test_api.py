"""The life of a job as a client of the API sees it: a real web, a real worker, a real beat."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.station import Station

PLAIN = "tests.plain_tasks"


@pytest.fixture(scope="module")
def served(station: Station) -> Station:
    """The station with everything that runs in production."""
    station.web()
    station.worker("default,emails,heavy", concurrency=3)
    station.beat()
    return station


def post(station: Station, path: str, body: Any = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return station.http("POST", path, body or {}, station.token("operate"), headers=named)


def get(station: Station, path: str) -> Any:
    answer = station.http("GET", path, token=station.token("view"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def posted(station: Station, task: str, **body: Any) -> str:
    answer = post(station, f"/tasks/{PLAIN}.{task}", body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def test_a_job_is_followed_to_its_result(served: Station) -> None:
    id_ = posted(served, "add", kwargs={"x": 1, "y": 2})
    seen = get(served, f"/tasks/{id_}?wait=20")
    assert (seen["status"], seen["result"], seen["attempt"]) == ("SUCCESS", 3, 1)
    assert seen["worker"]
    assert seen["created_at"] < seen["started_at"] < seen["finished_at"]


def test_a_failure_is_retried_dies_is_requeued_and_succeeds(served: Station) -> None:
    id_ = posted(served, "mendable", args=["api", 7])
    dead = get(served, f"/tasks/{id_}?wait=30")
    assert (dead["state"], dead["attempt"], dead["error"]) == ("dead", 2, "ConnectionError: api is broken")
    assert "ConnectionError" in dead["traceback"]
    (letter,) = [item for item in get(served, "/dead-letters")["items"] if item["task_id"] == id_]
    assert (letter["reason"], letter["attempts"]) == ("exhausted", 2)
    served.write("mended api")
    requeued = post(served, f"/dead-letters/{letter['id']}/requeue", {"reason": "mended"})
    assert (requeued.status_code, requeued.json()) == (202, {"task_id": id_, "status": "queued"})
    assert get(served, f"/tasks/{id_}?wait=30")["result"] == 7
    assert post(served, f"/dead-letters/{letter['id']}/requeue").status_code == 409


def test_a_wait_is_over_as_soon_as_the_job_ends(served: Station) -> None:
    id_ = posted(served, "slow", args=[1.5])
    start = time.monotonic()
    assert get(served, f"/tasks/{id_}?wait=30")["state"] == "succeeded"
    assert time.monotonic() - start < 10


def test_a_scheduled_job_is_revoked_and_never_runs(served: Station) -> None:
    id_ = posted(served, "note", args=["revoked"], delay=3)
    assert post(served, f"/tasks/{id_}/revoke", {"reason": "a test"}).json()["action"] == "revoked"
    time.sleep(4)
    assert get(served, f"/tasks/{id_}")["status"] == "REVOKED"
    assert "revoked" not in served.journal()


def test_a_running_job_is_terminated(served: Station) -> None:
    id_ = posted(served, "slow", args=[30])
    served.wait_state(id_, "running")
    assert post(served, f"/tasks/{id_}/revoke", {"terminate": True}).status_code == 200
    assert get(served, f"/tasks/{id_}?wait=20")["state"] == "cancelled"


def test_a_paused_queue_holds_its_jobs_until_it_is_resumed(served: Station) -> None:
    post(served, "/queues/heavy/pause", {"reason": "a test"})
    id_ = posted(served, "add", args=[1, 1], queue="heavy")
    seen = get(served, f"/tasks/{id_}?wait=1")
    assert (seen["state"], seen["hold"]) == ("queued", "paused")
    post(served, "/queues/heavy/resume")
    assert get(served, f"/tasks/{id_}?wait=20")["result"] == 2


def test_of_two_that_race_with_one_key_one_posts_and_both_get_its_answer(served: Station) -> None:
    for round_ in range(5):
        body = {"args": [round_, round_]}

        def send(_: int, body: Any = body, key: str = f"race-{round_}") -> httpx.Response:
            return post(served, f"/tasks/{PLAIN}.add", body, Idempotency_Key=key)

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(send, range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
        assert len({answer.json()["task_id"] for answer in answers}) == 1


def test_of_many_that_race_with_one_unique_key_one_job_is_made(served: Station) -> None:
    def send(_: int) -> httpx.Response:
        return post(served, f"/tasks/{PLAIN}.slow", {"args": [3], "unique_key": "race"})

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [202]
    assert len({answer.json()["task_id"] for answer in answers}) == 1


def test_ten_thousand_jobs_are_accepted_at_once_and_all_run(served: Station) -> None:
    jobs = [{"task": f"{PLAIN}.quiet", "args": [f"many-{n}"]} for n in range(300)]
    more = [{"task": f"{PLAIN}.add", "args": [n, n], "delay": 3600} for n in range(9_700)]
    answer = post(served, "/tasks", {"jobs": [*jobs, *more]})
    assert answer.status_code == 202, answer.text[:500]
    ids = answer.json()["task_ids"]
    assert len(set(ids)) == 10_000
    served.wait_ended(ids[:300], timeout=90)
    assert sorted(line for line in served.journal() if line.startswith("many-")) == sorted(
        f"many-{n}" for n in range(300)
    )


def test_a_live_worker_is_counted(served: Station) -> None:
    queues = {queue["name"]: queue for queue in get(served, "/queues")["items"]}
    assert (queues["default"]["workers"], queues["payments"]["workers"]) == (1, 0)
    metrics = served.http("GET", "/metrics", token=served.token("view")).text
    assert "stationmaster_workers_alive 1.0" in metrics


def test_a_job_is_accepted_while_redis_is_down_and_runs_when_it_is_back(served: Station) -> None:
    served.valkey.stop()
    start = time.monotonic()
    id_ = posted(served, "add", args=[2, 2])
    assert time.monotonic() - start < 3
    ready = served.http("GET", "/readyz")
    assert (ready.status_code, ready.json()["errors"][0]["loc"]) == (503, ["redis"])
    served.valkey.start()
    assert get(served, f"/tasks/{id_}?wait=30")["result"] == 4


@pytest.mark.databases("postgres")
def test_nothing_is_accepted_while_the_database_is_down(fresh_station: Station) -> None:
    fresh_station.web()
    token = fresh_station.token("operate")
    fresh_station.databases.server().stop()
    try:
        for method, path in (("POST", f"/tasks/{PLAIN}.add"), ("GET", "/tasks"), ("GET", "/readyz")):
            answer = fresh_station.http(method, path, {"args": [1, 2]} if method == "POST" else None, token)
            assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
        assert fresh_station.http("GET", "/healthz").status_code == 200
    finally:
        fresh_station.databases.server().start()
    again = fresh_station.http("POST", f"/tasks/{PLAIN}.add", {"args": [1, 2]}, token)
    assert again.status_code == 202
    assert [row["id"] for row in fresh_station.sql("SELECT id FROM jobs_job")] == [again.json()["task_id"]]
