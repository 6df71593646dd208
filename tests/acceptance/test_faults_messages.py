"""Messages are hints: doubled, lost or forged ones change nothing."""

import json
import uuid

import pytest
import redis

from tests.plain_tasks import add, note, slow
from tests.support.station import Station

#: How kombu names the list of a queue, for any priority.
LISTS = "stationmaster:{}*"


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat; each test starts the workers it wants."""
    station.beat()
    return station


def messages(client: redis.Redis, queue: str) -> dict[str, list[str]]:
    """The messages of a queue by the name of the list they lie in."""
    lists = [key for key in client.scan_iter(LISTS.format(queue)) if client.type(key) == "list"]
    return {key: [str(text) for text in client.lrange(key, 0, -1)] for key in lists}


def double(station: Station, queue: str, times: int) -> int:
    """Deliver every waiting message so many times more; how many there were."""
    with station.valkey.client() as client:
        waiting = messages(client, queue)
        for key, texts in waiting.items():
            client.rpush(key, *(fresh(text) for text in texts * times))
        return sum(len(texts) for texts in waiting.values())


def fresh(text: str) -> str:
    """The same message as a broker would deliver it again: with a tag of its own."""
    message = json.loads(text)
    message["properties"]["delivery_tag"] = str(uuid.uuid4())
    return json.dumps(message)


def test_a_message_delivered_five_times_runs_once(running: Station) -> None:
    ids = [running.post(note, f"once {n}") for n in range(10)]
    assert double(running, "default", 4) >= 10  # beat's own may be among them
    running.worker("default", concurrency=2)
    running.worker("default", concurrency=2)
    running.wait_ended(ids)
    running.wait(lambda: not waiting(running, "default"), what="the doubled messages to be dropped")
    assert sorted(line for line in running.journal() if line.startswith("once")) == [f"once {n}" for n in range(10)]
    assert {row["attempt"] for row in running.jobs(ids)} == {1}


def waiting(station: Station, queue: str) -> dict[str, list[str]]:
    with station.valkey.client() as client:
        return messages(client, queue)


def test_a_message_delivered_again_while_its_job_runs_is_dropped(running: Station) -> None:
    id = running.post(slow, 2, "overlap", queue="heavy")
    with running.valkey.client() as client:
        [(key, [text])] = messages(client, "heavy").items()
        running.worker("heavy", concurrency=2)
        running.wait_state(id, "running")
        client.rpush(key, fresh(text))
        running.wait(lambda: not messages(client, "heavy"))
    running.wait_state(id, "succeeded")
    assert running.journal().count("start overlap") == 1
    assert running.job(id)["attempt"] == 1


def test_a_message_of_an_ended_job_is_dropped(running: Station) -> None:
    id = running.post(note, "ended", queue="emails")
    with running.valkey.client() as client:
        [(key, [text])] = messages(client, "emails").items()
        running.worker("emails", concurrency=1)
        running.wait_state(id, "succeeded")
        client.rpush(key, fresh(text))
        running.wait(lambda: not messages(client, "emails"))
    running.wait_state(running.post(note, "after it", queue="emails"), "succeeded")
    assert running.journal().count("ended") == 1


def test_a_forged_message_runs_nothing(running: Station) -> None:
    running.post(note, "real", queue="payments")
    with running.valkey.client() as client:
        [(key, [text])] = messages(client, "payments").items()
        client.rpush(key, fresh(text).replace(json.loads(text)["headers"]["id"], str(uuid.uuid4())))
    running.worker("payments", concurrency=1)
    running.wait_state(running.post(note, "behind the forged one", queue="payments"), "succeeded")
    assert running.journal().count("real") == 1


def test_lost_messages_are_rung_again(running: Station) -> None:
    ids = [running.post(add, n, n, queue="heavy") for n in range(20)]
    running.valkey.flushall()
    running.worker("heavy", concurrency=2)
    running.wait_ended(ids)
    assert [running.value(id) for id in ids] == [2 * n for n in range(20)]
