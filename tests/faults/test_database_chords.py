"""Chords and groups under faults: each member counts once, the body runs once, with all results."""

from collections.abc import Callable

import pytest
from celery import chord, group
from celery.result import GroupResult

from tests.plain_tasks import breakable, fail, journaled, out_of_memory, outcomes
from tests.support import calls, people
from tests.support.accounts import balance
from tests.support.hints import deliver, hints
from tests.support.outages import away, stopped
from tests.support.rows import Row
from tests.support.station import Station

OUTAGE = 4.0


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.plain_tasks.outcomes"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker and beat; who works on `heavy` is the test's."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def chord_of(size: int, seconds: float, queue: str = "default") -> tuple[list[str], str]:
    """The members' ids, and the body's."""
    body = chord([journaled.s(seconds).set(queue=queue) for _ in range(size)])(outcomes.collected.s())
    return [member.id for member in body.parent.children], body.id


def check_chord(station: Station, members: list[str], body: str) -> list[Row]:
    """Every member and the body ended once, and the body got all results in their order."""
    rows = balance(station, [*members, body])
    assert {row["state"] for row in rows} == {"succeeded"}
    assert station.journal().count(f"start {body}") == 1
    assert station.value(body) == members
    counter = "SELECT count FROM django_celery_results_chordcounter WHERE group_id = %s"
    assert station.sql(counter, rows[0]["group_id"]) == []
    return rows


def test_a_member_delivered_twice_counts_once(running: Station) -> None:
    """Row 19: on plain Celery the callback never runs. Twice before, while and after the member runs."""
    members, body = running.call(chord_of, 5, 0.3, "heavy")
    stock = hints(running, "heavy")
    assert len(stock) == 5
    deliver(running, *stock, queue="heavy")
    worker = running.worker("heavy", concurrency=2)
    running.wait(lambda: "start " + members[0] in running.journal())
    deliver(running, *stock, queue="heavy")
    rows = check_chord(running, members, body)
    deliver(running, *stock, queue="heavy")
    running.wait(lambda: not hints(running, "heavy"))
    balance(running, [running.post(journaled, queue="heavy")])
    assert running.jobs([*members, body]) == rows
    assert [running.journal().count(f"start {id}") for id in members] == [1] * 5
    assert worker.running


@pytest.mark.databases("postgres")
def test_a_chord_whose_members_worker_is_killed_calls_its_body_once(running: Station) -> None:
    """Rows 01, 19."""
    first = running.worker("heavy", concurrency=2)
    members, body = running.call(chord_of, 4, 3, "heavy")
    running.wait(lambda: sum(f"start {id}" in running.journal() for id in members) == 2)
    first.kill()
    running.worker("heavy", concurrency=2)
    rows = check_chord(running, members, body)
    assert sorted(row["crashes"] for row in rows) == [0, 0, 0, 1, 1]


def chord_with(member: str) -> tuple[str, str, str]:
    """(the group, the bad member, the body) of a chord with two good members."""
    bad = {"raises": fail.s("bad member"), "kills": out_of_memory.s("kills its process")}[member]
    body = chord([journaled.s(), bad, journaled.s()])(outcomes.collected.s())
    return body.parent.id, body.parent.children[1].id, body.id


@pytest.mark.databases("postgres")
@pytest.mark.parametrize("how", ["raises", "kills"])
def test_a_member_that_dies_fails_the_body_once(running: Station, how: str) -> None:
    """Row 19: one dead letter, of the member; the body never runs and says why."""
    _, member, body = running.call(chord_with, how)
    running.wait_state(member, "dead", timeout=60)
    running.wait(lambda: running.call(calls.status, body) == "FAILURE")
    assert "ChordError" in running.call(calls.facts, body)["result"]
    assert len(running.letters(member)) == 1
    assert running.journal().count(f"start {body}") == 0


def chord_with_a_broken_body(word: str) -> tuple[list[str], str]:
    body = chord([journaled.s(), journaled.s()])(breakable.si(word, 7))
    return [member.id for member in body.parent.children], body.id


@pytest.mark.databases("postgres")
def test_a_body_that_dies_dies_once_and_can_be_mended(running: Station) -> None:
    """Row 19: its members keep their results, and are not run again."""
    members, body = running.call(chord_with_a_broken_body, "body")
    assert running.wait_state(body, "dead")["attempt"] == 1
    assert [letter["status"] for letter in running.letters(body)] == ["open"]
    running.write("mended body")
    running.call(people.requeue, body)
    running.wait_state(body, "succeeded")
    assert running.value(body) == 7
    assert running.journal().count("try body") == 2
    assert [running.journal().count(f"start {id}") for id in members] == [1, 1]
    balance(running, members)


def group_of(size: int) -> tuple[str, list[str]]:
    result = group(journaled.s(0.2) for _ in range(size)).apply_async()
    result.save()
    return result.id, [child.id for child in result.children]


def group_values(id: str) -> list[str]:
    return list(GroupResult.restore(id).get(timeout=30))


def emptied(station: Station) -> None:
    station.valkey.flushall()


def database_away(station: Station) -> None:
    away(station, stopped, OUTAGE)


@pytest.mark.databases("postgres")
@pytest.mark.parametrize("fault", [emptied, database_away], ids=lambda fault: fault.__name__)
def test_chords_and_groups_outlive_a_fault_in_their_midst(running: Station, fault: Callable[[Station], None]) -> None:
    """Rows 05, 09, 19: a chord, and a group that is read as a whole."""
    members, body = running.call(chord_of, 10, 0.2)
    group_id, singles = running.call(group_of, 6)
    running.wait(lambda: sum(f"end {id}" in running.journal() for id in members) >= 3)
    fault(running)
    check_chord(running, members, body)
    balance(running, singles)
    assert running.call(group_values, group_id) == singles
