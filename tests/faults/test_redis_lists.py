"""Redis loses single lists, or forgets one between two steps of a canvas; and messages come again, late or forged."""

import json
import uuid

import pytest

from tests.plain_tasks import note, slow
from tests.support.callers import BACK, SLACK, check_back, check_once, ids, posts
from tests.support.canvases import chained, chorded
from tests.support.environment import PLAIN_TASKS
from tests.support.hints import again, connect, deliver, hints, lists
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    """One more module of tasks."""
    return {"JOBS_TASK_MODULES": f"{PLAIN_TASKS},tests.support.canvases"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat, whose Redis forgets everything when it ends; each test starts the workers it wants."""
    station.valkey.forget()
    station.beat()
    return station


def drop(station: Station, queue: str, which: int | None = None) -> int:
    """Delete one list of a queue, or all of them; how many hints are lost."""
    found = sorted(lists(station, queue).items())
    chosen = found if which is None else [found[which]]
    with connect(station) as client:
        for key, _ in chosen:
            client.delete(key)
    return sum(len(messages) for _, messages in chosen)


# --- lost ---


def test_a_queue_that_is_lost_is_rung_again_while_others_keep_theirs(running: Station) -> None:
    """Row 05, of one key: the other queues' messages are there, so nothing looks empty."""
    lost = ids(running.call(posts, 20, queue="heavy"))
    kept = ids(running.call(posts, 20, queue="emails"))
    assert drop(running, "heavy") >= 20
    running.worker("heavy", concurrency=1)
    check_once(running, lost, timeout=BACK + SLACK)
    running.worker("emails", concurrency=1)
    check_once(running, kept)


def test_a_list_of_one_priority_that_is_lost_is_rung_again(running: Station) -> None:
    """Row 05, of one of a queue's lists: the queue itself is never empty."""
    urgent = ids(running.call(posts, 10, queue="heavy", priority=9))
    usual = ids(running.call(posts, 80, 0.05, queue="heavy", priority=0))
    with connect(running) as client:
        client.delete(next(key for key, found in lists(running, "heavy").items() if len(found) == 10))
    running.worker("heavy", concurrency=1)
    check_once(running, urgent, timeout=BACK + SLACK)
    check_once(running, usual)


def test_a_list_that_never_gets_empty_gives_back_what_was_lost_from_it(running: Station) -> None:
    """Row 01e and 05b, of single messages: those behind and before them are still there."""
    calls = ids(running.call(posts, 100, 0.05, queue="heavy"))
    with connect(running) as client:
        [(key, found)] = lists(running, "heavy").items()
        for message in found[40:50]:
            assert client.lrem(key, 1, message) == 1
    running.worker("heavy", concurrency=2)
    check_once(running, calls)


# --- between two steps ---


def test_a_chain_goes_on_when_redis_dies_under_its_first_step(running: Station) -> None:
    """Row 04: the next step is enqueued while there is no Redis."""
    running.worker("default", concurrency=1)
    first, second = running.call(chained, 1.5, "default")
    running.wait_state(first, "running")
    running.valkey.kill()
    running.wait_state(first, "succeeded")
    unrung = "SELECT id FROM jobs_job WHERE id = %s AND state = 'queued' AND rung_at IS NULL"
    running.wait(lambda: running.sql(unrung, second), what="a ring that was heard by nobody")
    running.valkey.start()
    check_once(running, [first, second], timeout=BACK + SLACK)


def test_a_chain_goes_on_when_redis_dies_between_two_steps(running: Station) -> None:
    """Row 04: the next step's message was waiting, and is gone."""
    running.worker("default", concurrency=1)
    first, second = running.call(chained, 0, "emails")
    running.wait_state(first, "succeeded")
    running.wait(lambda: hints(running, "emails"), what="the second step to be rung")
    running.valkey.kill()
    running.valkey.start()
    running.worker("emails", concurrency=1)
    check_once(running, [first, second], timeout=BACK + SLACK)


def test_a_chord_ends_when_redis_dies_under_its_members(running: Station) -> None:
    """Row 04: each member is counted once, the callback is rung when Redis is back."""
    running.worker("default", concurrency=2)
    members, callback = running.call(chorded, 6, 0.5)
    running.wait(lambda: f"end {members[1]}" in running.journal())
    running.valkey.kill()
    running.wait_state(members[3], "succeeded", "queued")
    running.valkey.start()
    check_once(running, [*members, callback])
    assert sorted(running.value(callback)) == sorted(members)


def test_a_chord_ends_when_redis_forgets_its_callback(running: Station) -> None:
    """Row 05 and 19: the callback's message is lost, and comes twice after that."""
    running.worker("default", concurrency=2)
    members, callback = running.call(chorded, 4, 0, "emails")
    check_once(running, members)
    running.wait(lambda: hints(running, "emails"), what="the callback to be rung")
    running.valkey.flushall()
    running.wait(lambda: hints(running, "emails"), what="the callback to be rung again")
    deliver(running, *map(again, hints(running, "emails")), queue="emails")
    running.worker("emails", concurrency=2)
    check_once(running, [callback])


# --- doubled, late, forged ---


def test_a_message_delivered_five_times_runs_once(running: Station) -> None:
    """Row 06c and 18, five times."""
    calls = ids(running.call(posts, 10))
    deliver(running, *(again(message) for message in hints(running) for _ in range(4)))
    for _ in range(2):
        running.worker("default", concurrency=2)
    check_once(running, calls)
    running.wait(lambda: not hints(running), what="the doubled messages to be dropped")
    check_once(running, calls)


def test_a_message_delivered_again_while_its_job_runs_is_dropped(running: Station) -> None:
    """Row 08 and 16."""
    id = running.post(slow, 2, "overlap", queue="heavy")
    [message] = hints(running, "heavy")
    running.worker("heavy", concurrency=2)
    running.wait_state(id, "running")
    deliver(running, again(message), queue="heavy")
    running.wait(lambda: not hints(running, "heavy"))
    assert running.wait_state(id, "succeeded")["attempt"] == 1
    assert running.journal().count("start overlap") == 1


def test_a_message_of_an_ended_job_is_dropped(running: Station) -> None:
    """Row 01c: finished, not yet acknowledged, delivered again."""
    [id] = ids(running.call(posts, 1, queue="emails"))
    [message] = hints(running, "emails")
    running.worker("emails", concurrency=1)
    check_once(running, [id])
    deliver(running, again(message), queue="emails")
    running.wait(lambda: not hints(running, "emails"))
    check_once(running, [id, check_back(running, queue="emails")])


def test_a_forged_message_runs_nothing(running: Station) -> None:
    """A message of a job that the table does not have."""
    real = running.post(note, "real", queue="payments")
    [message] = hints(running, "payments")
    forged = again(message).replace(json.loads(message)["headers"]["id"].encode(), str(uuid.uuid4()).encode())
    deliver(running, forged, queue="payments")
    running.worker("payments", concurrency=1)
    check_back(running, queue="payments")
    assert running.wait_state(real, "succeeded")["attempt"] == 1
    assert running.journal().count("real") == 1
