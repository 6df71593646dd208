"""Chains and chords of which a step died, and was requeued by a person."""

import pytest
from celery import chain, chord
from celery.result import AsyncResult

from tests.plain_tasks import add, breakable, replaced_by_chain, slow, total
from tests.support import calls, people
from tests.support.console import RemoteError
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def chord_over_a_chain(word: str) -> tuple[str, str, str]:
    """(first step of the member chain, its last step, the body)."""
    member = chain(breakable.s(word, 5), add.s(1), add.s(10))
    body = chord([member, add.s(2, 2)])(total.s())
    last = next(result for result in body.parent.children if result.parent)
    return _first(last).id, last.id, body.id


def _first(result: AsyncResult) -> AsyncResult:
    return _first(result.parent) if result.parent else result


def test_a_chord_goes_on_when_the_first_step_of_a_member_chain_is_mended(running: Station) -> None:
    first, last, body = running.call(chord_over_a_chain, "member chain")
    running.wait_state(first, "dead")
    running.wait(lambda: running.call(calls.status, body) == "FAILURE")
    running.write("mended member chain")
    running.call(people.requeue, first)
    assert running.wait_state(body, "succeeded")["attempt"] == 1
    assert (running.get(last), running.get(body)) == (16, 20)


def test_a_member_chain_may_die_more_than_once(running: Station) -> None:
    first, _, body = running.call(chord_over_a_chain, "twice")
    running.wait_state(first, "dead")
    running.call(people.requeue, first)
    running.wait(lambda: running.job(first)["state"] == "dead" and running.job(first)["attempt"] == 2)
    running.wait(lambda: running.call(calls.status, body) == "FAILURE")
    running.write("mended twice")
    running.call(people.requeue, first)
    running.wait_state(body, "succeeded")
    assert running.get(body) == 20


def chord_with_two_broken_members(word: str) -> tuple[list[str], str]:
    result = chord([breakable.s(word, 5), breakable.s(f"other {word}", 6)])(total.s())
    return [child.id for child in result.parent.children], result.id


def test_the_body_waits_until_every_dead_member_is_mended(running: Station) -> None:
    (one, other), body = running.call(chord_with_two_broken_members, "pair")
    running.wait_ended([one, other])
    running.write("mended pair")
    running.call(people.requeue, one)
    running.wait_state(one, "succeeded")
    with pytest.raises(RemoteError, match="ChordError"):
        running.get(body)
    running.write("mended other pair")
    running.call(people.requeue, other)
    running.wait_state(body, "succeeded")
    assert running.get(body) == 11


def test_a_member_mended_with_other_arguments_counts(running: Station) -> None:
    (one, other), body = running.call(chord_with_two_broken_members, "changed")
    running.wait_ended([one, other])
    running.write("mended changed")
    running.write("mended at last")
    running.call(people.requeue, one)
    running.call(people.requeue_changed, other, ["at last", 100])
    running.wait_state(body, "succeeded")
    assert running.get(body) == 105


def three_steps(word: str) -> list[str]:
    last = chain(breakable.s(word, 5), add.s(10), add.s(100)).apply_async()
    return [last.parent.parent.id, last.parent.id, last.id]


def test_what_a_death_told_of_later_steps_is_taken_back(running: Station) -> None:
    first, second, third = running.call(three_steps, "later steps")
    running.wait_state(first, "dead")
    assert running.call(calls.status, third) == "FAILURE"
    running.call(people.pause, "default")
    running.call(people.requeue, first)
    assert {running.call(calls.status, id) for id in (first, second, third)} == {"PENDING"}
    running.write("mended later steps")
    running.call(people.resume, "default")
    assert running.get(third) == 115


def chord_in_a_chord(word: str) -> tuple[str, str]:
    """(a member of the inner chord, the outer body)."""
    inner = chord([breakable.s(word, 5), add.s(1, 1)], total.s())
    body = chord([inner, add.s(10, 10)])(total.s())
    return next(child.parent.children[0].id for child in body.parent.children if child.parent), body.id


def test_an_outer_chord_goes_on_when_a_member_of_the_inner_one_is_mended(running: Station) -> None:
    member, body = running.call(chord_in_a_chord, "inner")
    running.wait_state(member, "dead")
    running.write("mended inner")
    running.call(people.requeue, member)
    running.wait_state(body, "succeeded")
    assert running.get(body) == 27


def test_a_replaced_job_goes_on_when_a_step_in_its_place_is_mended(running: Station) -> None:
    id = running.post(replaced_by_chain, 5, "in its place")
    running.wait_state(id, "dead")
    (step,) = [row["id"] for row in running.sql("SELECT id FROM jobs_job WHERE parent_id = %s", id)]
    running.write("mended in its place")
    running.call(people.requeue, step)
    running.wait_state(id, "succeeded")
    assert running.get(id) == 15


def chord_over_a_slow_chain(word: str) -> tuple[str, str, str]:
    """(first step of the member chain, its last step, the body)."""
    body = chord([chain(slow.si(60, word), add.si(1, 1)), add.s(2, 2)])(total.s())
    last = next(result for result in body.parent.children if result.parent)
    return last.parent.id, last.id, body.id


def test_a_chord_ends_when_the_first_step_of_a_member_chain_is_stopped_while_it_runs(running: Station) -> None:
    first, last, body = running.call(chord_over_a_slow_chain, "stopped")
    running.wait_state(first, "running")
    running.call(calls.revoke, first, terminate=True)
    running.wait_state(first, "cancelled")
    running.wait(lambda: running.call(calls.status, body) == "FAILURE")
    assert running.call(calls.status, last) == "REVOKED"
