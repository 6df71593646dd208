"""Messages that nobody can read kill a stock worker: here they are kept, with their bytes, and the worker works on."""

import base64
import json
import uuid
from typing import Any

import pytest

from tests.plain_tasks import journaled
from tests.support.callers import check_back, check_once, ids, posts
from tests.support.console import RemoteError
from tests.support.hints import connect, deliver, hints
from tests.support.processes import Process
from tests.support.rows import Row
from tests.support.station import Station

MIB = 1024 * 1024


def message(body: str = "W1tdLCB7fSwge31d", **changes: Any) -> bytes:
    """A stock message of a job that nobody has heard of; a change of None leaves that part out."""
    job_id = str(uuid.uuid4())
    parts: dict[str, Any] = {
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"id": job_id, "task": "tests.plain_tasks.journaled", "lang": "py", "argsrepr": "()"},
        "properties": {
            "correlation_id": job_id,
            "delivery_info": {"exchange": "", "routing_key": "default"},
            "delivery_tag": str(uuid.uuid4()),
            "delivery_mode": 2,
            "priority": 0,
            "body_encoding": "base64",
        },
    }
    return json.dumps({name: part for name, part in {**parts, **changes}.items() if part is not None}).encode()


def encoded(body: str) -> str:
    """As kombu puts a body into a message."""
    return base64.b64encode(body.encode()).decode()


def headed(**headers: Any) -> bytes:
    """The same with other headers."""
    stock = json.loads(message())["headers"]
    return message(headers={name: value for name, value in {**stock, **headers}.items() if value is not None})


#: Nothing that kombu could take for a message.
NO_MESSAGES = {
    "empty": b"",
    "not JSON": b"not json {",
    "cut off": message()[:100],
    "not UTF-8": b'{"body": "\xff\xfe"}',
    "binary": bytes(range(256)),
    "a list": b"[1, 2]",
    "a number": b"42",
    "null": b"null",
    "another object": b'{"hello": "world"}',
    "NUL": b'{"hello": "\\u0000"}',
    "deeply nested": b"[" * 100_000,
    "no properties": message(properties=None),
    "no headers": message(headers=None),
    "headers of a wrong kind": message(headers=["task"]),
    "a body of a wrong kind": json.dumps({**json.loads(message()), "body": 7}).encode(),
    "said to be compressed": headed(compression="application/x-gzip"),
}
#: Messages to kombu, but none that names a job which could be run.
NO_JOBS = {
    "a body that is not JSON": message(encoded("not json")),
    "a body that is not base64": message("%%%"),
    "an empty body": message(""),
    "a body that is null": message(encoded("null")),
    "a body that is a number": message(encoded("7")),
    "no task": headed(task=None),
    "a task of a wrong kind": headed(task=["journaled"]),
    "no id": headed(id=None),
    "pickle": message(**{"content-type": "application/x-python-serialize"}),
    "a content type that nobody knows": message(**{"content-type": "application/x-unknown"}),
}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with beat."""
    station.beat()
    return station


@pytest.fixture(scope="module")
def first_worker(running: Station) -> Process:
    """The worker that must outlive all of this."""
    return running.worker("default", concurrency=2)


@pytest.fixture
def worker(running: Station, first_worker: Process) -> Process:
    """It, or another one, so that the death of one worker is the failure of one test."""
    return first_worker if first_worker.running else running.worker("default", concurrency=2)


def kept(station: Station) -> list[Row]:
    """The letters of messages that name no job, newest first."""
    return station.sql("SELECT * FROM dlq_deadletter WHERE reason = 'undecodable' ORDER BY id DESC")


def check_kept(station: Station, before: int) -> Row:
    """One more letter than before; it is open, and says where it lay and what is wrong with it."""
    station.wait(lambda: len(kept(station)) == before + 1, what="the message to be kept")
    letter = kept(station)[0]
    assert (letter["status"], letter["queue"], letter["job_id"]) == ("open", "default", None)
    assert letter["error"]
    return letter


def check_alive(station: Station, worker: Process) -> None:
    """The same worker works on."""
    assert worker.running
    check_back(station)
    assert worker.running


@pytest.mark.parametrize("raw", NO_MESSAGES.values(), ids=NO_MESSAGES)
@pytest.mark.databases("postgres")
def test_bytes_that_are_no_message_are_kept_as_they_are(running: Station, worker: Process, raw: bytes) -> None:
    before = len(kept(running))
    deliver(running, raw)
    assert bytes(check_kept(running, before)["raw"]) == raw
    check_alive(running, worker)


@pytest.mark.parametrize("raw", NO_JOBS.values(), ids=NO_JOBS)
@pytest.mark.databases("postgres")
def test_a_message_that_names_no_job_is_kept(running: Station, worker: Process, raw: bytes) -> None:
    before = len(kept(running))
    deliver(running, raw)
    shown = json.loads(bytes(check_kept(running, before)["raw"]))
    sent = json.loads(raw)
    assert (shown["headers"], shown["properties"]["delivery_tag"]) == (
        sent["headers"],
        sent["properties"]["delivery_tag"],
    )
    check_alive(running, worker)


#: Headers that a worker's parent reads before it asks the table whether there is such a job (there is none).
ODD = {
    "an eta that is none": {"eta": "soon"},
    "an eta that no clock has": {"eta": "9999-12-31T23:59:59.999999+00:00"},
    "an end that is none": {"expires": "soon"},
    "limits that are none": {"timelimit": "long"},
    "limits of a wrong kind": {"timelimit": [["a"], {}]},
    "retries that are none": {"retries": "many"},
    "an id of a wrong kind": {"id": {"a": ["b"]}},
    "an id with NUL": {"id": "a\x00b"},
    "a long id": {"id": "x" * 5000},
    "ids of a wrong kind": {"root_id": [1], "parent_id": {}, "group": 7},
    "shown arguments of a wrong kind": {"argsrepr": [1], "kwargsrepr": None},
    "a chain of a wrong kind": {"chain": "x", "callbacks": 7, "errbacks": {}, "stamped_headers": 3},
}


@pytest.mark.parametrize("headers", ODD.values(), ids=ODD)
@pytest.mark.databases("postgres")
def test_odd_headers_end_no_worker(running: Station, worker: Process, headers: dict[str, Any]) -> None:
    deliver(running, headed(**headers))
    running.wait(lambda: not hints(running), what="it to be taken")
    check_alive(running, worker)
    assert "Connection to broker lost" not in worker.output()


@pytest.mark.parametrize("limit", ["time_limit", "soft_time_limit"])
@pytest.mark.databases("postgres")
def test_a_limit_that_would_end_workers_is_refused_to_the_caller(running: Station, limit: str) -> None:
    options: Any = {limit: "30s"}
    with pytest.raises(RemoteError, match=f"{limit}: '30s' is no number of seconds"):
        running.post(journaled, 0, **options)


@pytest.mark.databases("postgres")
def test_of_a_huge_message_the_beginning_is_kept(running: Station, worker: Process) -> None:
    before = len(kept(running))
    deliver(running, b'{"huge": "' + b"x" * (5 * MIB))
    letter = check_kept(running, before)
    assert len(letter["raw"]) == MIB
    assert bytes(letter["raw"]).startswith(b'{"huge": "xxx')
    assert f"{5 * MIB + 10:,} bytes" in letter["message"]
    check_alive(running, worker)


@pytest.mark.databases("postgres")
def test_many_of_them_hold_up_nobody(running: Station, worker: Process) -> None:
    before = len(kept(running))
    accepted = ids(running.call(posts, 20))
    deliver(running, *(b"not json %d" % n for n in range(50)))
    check_once(running, accepted)
    running.wait(lambda: len(kept(running)) == before + 50)
    check_alive(running, worker)


SPOILT = {
    "a broken body": {"body": "%%%"},
    "a body that is not JSON": {"body": encoded("{")},
    "another content type": {"content-type": "application/x-python-serialize"},
    "a body that is null": {"body": encoded("null")},
    "no properties": {"properties": {}},
}


@pytest.mark.parametrize("changes", SPOILT.values(), ids=SPOILT)
@pytest.mark.databases("postgres", "sqlite")
def test_a_spoilt_message_of_a_real_job_costs_it_nothing(running: Station, changes: dict[str, Any]) -> None:
    """The row has what the message lost: the job is rung again, and runs once."""
    [id] = ids(running.call(posts, 1, queue="heavy"))
    [stock] = hints(running, "heavy")
    with connect(running) as client:
        client.delete("stationmaster:heavy", *(key for key in client.keys("stationmaster:heavy*")))
    deliver(running, json.dumps({**json.loads(stock), **changes}).encode(), queue="heavy")
    worker = running.worker("heavy", concurrency=1)
    check_once(running, [id])
    assert worker.running


@pytest.mark.databases("postgres")
def test_what_comes_while_the_database_is_down_is_filed_when_it_is_back(running: Station, worker: Process) -> None:
    before = len(kept(running))
    running.databases.server().stop()
    deliver(running, b"first, without a database", b"second, without a database")
    running.wait(lambda: not hints(running), what="both to be taken")
    running.databases.server().start()
    running.wait(lambda: len(kept(running)) == before + 2, what="both to be filed")
    assert {bytes(letter["raw"]) for letter in kept(running)[:2]} == {
        b"first, without a database",
        b"second, without a database",
    }
    check_alive(running, worker)
    assert len(kept(running)) == before + 2, "filed twice"


@pytest.mark.databases("postgres")
def test_what_a_worker_could_not_file_before_it_was_killed_is_filed_by_the_next(running: Station) -> None:
    first = running.worker("heavy", concurrency=1)
    before = len(kept(running))
    running.databases.server().stop()
    deliver(running, b"kept by a worker that dies", queue="heavy")
    running.wait(lambda: not hints(running, "heavy"), what="it to be taken")
    running.wait(lambda: list((running.data / "spool").glob("*.entry")), what="it to be kept on disk")
    first.kill()
    running.databases.server().start()
    running.worker("heavy", concurrency=1)
    running.wait(lambda: len(kept(running)) == before + 1, what="it to be filed")
    assert bytes(kept(running)[0]["raw"]) == b"kept by a worker that dies"


@pytest.mark.parametrize("raw", [b"42", b"{}", b"not json {", message("%%%"), message(encoded("7"))])
@pytest.mark.databases("postgres")
def test_what_is_broadcast_and_is_no_message_ends_no_worker(running: Station, worker: Process, raw: bytes) -> None:
    """Remote control goes to every worker at once, past the lists."""
    with connect(running) as client:
        running.wait(lambda: client.publish("stationmaster:/0.celery.pidbox", raw), what="a worker to listen")
    check_alive(running, worker)
