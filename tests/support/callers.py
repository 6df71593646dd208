"""Callers and workers around a fault of Redis: posted, timed, and counted afterwards."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import current_app

from tests.plain_tasks import journaled
from tests.support.accounts import balance
from tests.support.rows import Row
from tests.support.station import Station

#: Seconds a caller may wait for its id the first time (0.5 to connect, 1 for an answer), with slack for the machine;
#: and those behind it, whom the breaker spares the wait: less than one answer's time.
FIRST, LATER = 4, 0.9
#: Seconds after which the breaker lets one caller try again.
BREAKER = 5
#: A worker that lost Redis works again this long after it is back, and what a busy machine may add.
BACK, SLACK = 15, 5


@dataclass(frozen=True)
class Call:
    """One `apply_async`: the id it answered, and how long the caller waited."""

    id: str
    seconds: float


def ids(calls: Collection[Call]) -> list[str]:
    return [call.id for call in calls]


# --- in the station: what its console is told to call ---


def posts(n: int, seconds: float = 0, **options: Any) -> list[Call]:
    """So many jobs, one after the other."""
    return [_post(seconds, options) for _ in range(n)]


def storm(lasting: float, seconds: float = 0, pause: float = 0.01, **options: Any) -> list[Call]:
    """One job after the other for so long."""
    until, made = time.monotonic() + lasting, []
    while time.monotonic() < until:
        made.append(_post(seconds, options))
        time.sleep(pause)
    return made


def bulk(n: int, **options: Any) -> list[str]:
    """So many jobs in one transaction."""
    app: Any = current_app
    with app.amqp.collecting():
        return [str(journaled.apply_async((0,), **options).id) for _ in range(n)]


def _post(seconds: float, options: dict[str, Any]) -> Call:
    before = time.monotonic()
    id = str(journaled.apply_async((seconds,), **options).id)
    return Call(id, time.monotonic() - before)


# --- in the test ---


@contextmanager
def storming(station: Station, lasting: float, **options: Any) -> Iterator[list[Call]]:
    """A caller posts all the while; the list is complete when the block has ended."""
    console = station.console()
    calls: list[Call] = []

    def run() -> None:
        calls.extend(console.within(lasting + 30, storm, lasting, **options))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield calls
    finally:
        thread.join()
        console.stop()


def check_bounded(calls: Collection[Call], lasting: float = 0) -> None:
    """No caller waited long, and while Redis was away only one in a breaker's time waited at all.

    Of more than a few calls one more may have met a busy machine.
    """
    seconds = [call.seconds for call in calls]
    assert seconds, "nobody called"
    assert max(seconds) <= FIRST, seconds
    waited = [each for each in seconds if each > LATER]
    assert len(waited) <= 1 + lasting // BREAKER + (len(seconds) > 3), waited


def check_once(station: Station, accepted: Collection[str], timeout: float = 60) -> list[Row]:
    """Redis' faults are no fault of a job: each succeeded, at its first attempt, having run once."""
    rows = balance(station, accepted, timeout)
    lines = Counter(station.journal())
    for row in rows:
        assert (row["state"], row["attempt"]) == ("succeeded", 1), row
        assert (lines[f"start {row['id']}"], lines[f"end {row['id']}"]) == (1, 1), row
    return rows


def check_back(station: Station, within: float = BACK + SLACK, **options: Any) -> str:
    """A job posted now is done within so many seconds; its id."""
    [call] = station.call(posts, 1, **options)
    station.wait_state(call.id, "succeeded", timeout=within)
    return call.id
