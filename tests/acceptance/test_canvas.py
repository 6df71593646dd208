"""Chains, groups and chords: Celery's own, and durable."""

from typing import Any

import pytest
from celery import chain, chord, group
from celery.result import AsyncResult, GroupResult

from tests.plain_tasks import add, breakable, fail, mendable, note, on_error_id, replaced, total, whoami
from tests.support import people
from tests.support.console import RemoteError
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat; nobody works on the queue `heavy`."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def ids_of(result: AsyncResult) -> list[str]:
    """The ids of a chain, first step first."""
    ids = []
    while result is not None:
        ids.append(result.id)
        result = result.parent
    return ids[::-1]


def chain_of_three() -> list[str]:
    return ids_of(chain(add.s(1, 2), add.s(10), add.s(100)).apply_async())


def test_a_chain_passes_results_on_and_every_step_is_a_job(running: Station) -> None:
    ids = running.call(chain_of_three)
    running.wait_ended(ids)
    assert [running.value(id) for id in ids] == [3, 13, 113]
    first, second, third = running.jobs(ids)
    assert (second["parent_id"], third["parent_id"]) == (first["id"], second["id"])
    assert {row["canvas_id"] for row in (first, second, third)} == {first["id"]}


def group_of(n: int) -> tuple[str, list[str]]:
    result = group(add.s(i, i) for i in range(n)).apply_async()
    result.save()
    return result.id, [child.id for child in result.children]


def group_values(id: str) -> list[Any]:
    return list(GroupResult.restore(id).get(timeout=60))


def test_a_group_of_a_hundred_is_a_hundred_jobs(running: Station) -> None:
    group_id, ids = running.call(group_of, 100)
    assert len(running.jobs(ids)) == 100
    assert running.call(group_values, group_id) == [2 * i for i in range(100)]
    assert {row["group_id"] for row in running.jobs(ids)} == {group_id}


def chord_of(n: int) -> str:
    return chord([add.s(i, i) for i in range(n)])(total.s()).id


def test_a_chord_calls_its_body_once_with_all_results(running: Station) -> None:
    body = running.call(chord_of, 20)
    assert running.get(body) == sum(2 * i for i in range(20))
    assert running.wait_state(body, "succeeded")["attempt"] == 1


def chunks_of_ten() -> tuple[str, list[str]]:
    result = add.chunks(zip(range(30), range(30), strict=True), 10).apply_async()
    result.save()
    return result.id, [child.id for child in result.children]


def test_chunks_are_jobs(running: Station) -> None:
    group_id, ids = running.call(chunks_of_ten)
    assert len(running.jobs(ids)) == 3
    assert [value for chunk in running.call(group_values, group_id) for value in chunk] == [2 * i for i in range(30)]


def chain_with_a_group() -> str:
    return chain(add.s(1, 1), group(add.s(10), add.s(20)), total.s(), add.s(1000)).apply_async().id


def test_a_group_inside_a_chain_becomes_a_chord(running: Station) -> None:
    assert running.get(running.call(chain_with_a_group)) == 1034


def chord_of_chains() -> str:
    return chord([chain(add.s(i, 1), add.s(1)) for i in range(5)])(total.s()).id


def test_a_chord_over_chains_waits_for_their_last_steps(running: Station) -> None:
    assert running.get(running.call(chord_of_chains)) == sum(i + 2 for i in range(5))


def nested_chords() -> str:
    inner = chord([add.s(1, 1), add.s(2, 2)], total.s())
    return chord([inner, add.s(10, 10)])(total.s()).id


def test_a_chord_inside_a_chord(running: Station) -> None:
    assert running.get(running.call(nested_chords)) == 26


def chain_with_a_replaced_step() -> str:
    return chain(add.s(1, 1), replaced.s(), add.s(10)).apply_async().id


def test_a_replaced_step_keeps_its_place_in_the_chain(running: Station) -> None:
    assert running.get(running.call(chain_with_a_replaced_step)) == 13


def chain_that_fails() -> list[str]:
    return ids_of(chain(fail.si("second"), add.s(1)).apply_async(link_error=on_error_id.s()))


def test_a_failed_step_ends_its_chain_and_the_errback_is_called(running: Station) -> None:
    first, second = running.call(chain_that_fails)
    running.wait_state(first, "dead")
    running.wait(lambda: f"error of {first}" in running.journal())
    assert running.job(second) == {}
    assert len(running.letters(first)) == 1


# --- what no message broker can lose ---


def chain_over_two_queues() -> list[str]:
    return ids_of(chain(add.s(1, 2), add.s(10).set(queue="heavy"), add.s(100)).apply_async())


def test_losing_redis_between_two_steps_of_a_chain_loses_nothing(running: Station) -> None:
    first, second, third = running.call(chain_over_two_queues)
    running.wait_state(first, "succeeded")
    running.wait_state(second, "queued")
    running.valkey.flushall()
    running.worker("heavy", concurrency=1)
    running.wait_ended([second, third])
    assert running.value(third) == 113


def chord_with_its_body_elsewhere() -> str:
    return chord([add.s(i, i) for i in range(5)])(total.s().set(queue="heavy")).id


def test_losing_redis_between_a_chord_and_its_body_loses_nothing(running: Station) -> None:
    body = running.call(chord_with_its_body_elsewhere)
    running.wait_state(body, "queued")
    running.valkey.flushall()
    running.worker("heavy", concurrency=1)
    running.wait_state(body, "succeeded")
    assert running.value(body) == 20


# --- mended by a person ---


def chain_with_a_broken_step(word: str) -> list[str]:
    return ids_of(chain(breakable.s(word, 5), add.s(10), add.s(100)).apply_async())


def test_requeueing_a_dead_chain_member_continues_its_chain(running: Station) -> None:
    first, second, third = running.call(chain_with_a_broken_step, "chain")
    running.wait_state(first, "dead")
    running.write("mended chain")
    running.call(people.requeue, first)
    running.wait(lambda: len(running.jobs([second, third])) == 2)
    running.wait_ended([first, second, third])
    assert running.get(third) == 115


def chord_with_a_broken_member(word: str) -> tuple[list[str], str]:
    result = chord([add.s(1, 1), mendable.s(word, 5), add.s(2, 2)])(total.s())
    return [child.id for child in result.parent.children], result.id


def test_a_dead_chord_member_that_then_succeeds_counts(running: Station) -> None:
    members, body = running.call(chord_with_a_broken_member, "chord")
    running.wait_state(members[1], "dead")
    with pytest.raises(RemoteError):
        running.get(body)
    running.write("mended chord")
    running.call(people.requeue, members[1])
    running.wait_state(body, "succeeded")
    assert running.get(body) == 11


def frozen_chain() -> list[str]:
    steps = chain(note.s("one").set(task_id="step-1"), note.si("two").set(task_id="step-2"))
    return ids_of(steps.apply_async())


def test_a_chain_keeps_the_ids_it_was_given(running: Station) -> None:
    ids = running.call(frozen_chain)
    running.wait_ended(ids)
    assert running.journal().count("two") == 1


def group_of_identities() -> list[str]:
    return [child.id for child in group(whoami.s() for _ in range(3)).apply_async().children]


def test_members_of_a_group_know_their_group(running: Station) -> None:
    ids = running.call(group_of_identities)
    running.wait_ended(ids)
    assert len({running.value(id)["group"] for id in ids}) == 1
    assert [running.value(id)["id"] for id in ids] == ids
