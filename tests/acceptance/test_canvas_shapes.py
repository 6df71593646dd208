"""The rest of Celery's canvas: starmap, ignored results, links, errbacks, replacing by a chain or a group."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, group

from jobs.models import Job
from tests.plain_tasks import add, fail, note, on_error, on_error_id, quiet, replaced_by_chain, replaced_by_group, total
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat; nobody works on the queue `heavy`."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def starmap_of_three() -> str:
    return add.starmap([(1, 2), (3, 4), (5, 6)]).apply_async().id


def test_starmap_is_one_job(running: Station) -> None:
    id = running.call(starmap_of_three)
    assert running.get(id) == [3, 7, 11]
    assert running.wait_state(id, "succeeded")["task"] == "celery.starmap"


def chain_over_an_ignored_result() -> str:
    return chain(quiet.si("first of the chain"), add.si(1, 2), add.s(10)).apply_async().id


def test_a_step_that_ignores_its_result_goes_on_to_the_next(running: Station) -> None:
    assert running.get(running.call(chain_over_an_ignored_result)) == 13
    assert running.journal().count("first of the chain") == 1


def with_links_elsewhere() -> list[str]:
    """(a job that succeeds, its link, one that fails, its errback): those called wait where nobody works."""
    link = add.s(10).set(queue="heavy", task_id="the-link")
    errback = on_error_id.s().set(queue="heavy", task_id="the-errback")
    good, bad = add.apply_async((1, 2), link=link), fail.apply_async(link_error=errback)
    return [good.id, "the-link", bad.id, "the-errback"]


def test_links_and_errbacks_are_rows_before_anybody_runs_them(running: Station) -> None:
    good, link, bad, errback = running.call(with_links_elsewhere)
    running.wait_ended([good, bad])
    rows = running.jobs([link, errback])
    assert [(row["state"], row["parent_id"]) for row in rows] == [("queued", good), ("queued", bad)]
    running.valkey.flushall()
    running.worker("heavy", concurrency=1)
    running.wait_ended([link, errback])
    assert running.value(link) == 13
    assert running.journal().count(f"error of {bad}") == 1


def chord_with_errbacks(word: str) -> tuple[str, str]:
    body = chord([add.s(1, 1), fail.s(word)], total.s().on_error(on_error.s()))()
    return body.parent.children[1].id, body.id


def test_the_errback_of_a_chord_s_body_is_called_inline(running: Station) -> None:
    member, body = running.call(chord_with_errbacks, "in the header")
    running.wait_state(member, "dead")
    running.wait(lambda: any(line.startswith(f"error of {body}: ") and member in line for line in running.journal()))
    assert running.job(body) == {}


def test_a_job_may_be_replaced_by_a_chain(running: Station) -> None:
    id = running.post(replaced_by_chain, 1)
    running.wait_state(id, "succeeded")
    assert running.get(id) == 12


def chain_over_a_replaced_group() -> str:
    return chain(replaced_by_group.s([1, 2, 3]), total.s()).apply_async().id


def test_a_step_may_be_replaced_by_a_group(running: Station) -> None:
    assert running.get(running.call(chain_over_a_replaced_group)) == 9


def group_of_chords() -> list[str]:
    return [child.id for child in group(chord([add.s(i, i)] * 3, total.s()) for i in range(3)).apply_async().children]


def test_a_group_of_chords(running: Station) -> None:
    ids = running.call(group_of_chords)
    assert [running.get(id) for id in ids] == [0, 6, 12]


def chain_that_notes(word: str) -> list[str]:
    last = chain(note.si(f"{word} one"), note.si(f"{word} two"), note.si(f"{word} three")).apply_async()
    return [last.parent.parent.id, last.parent.id, last.id]


def test_every_step_of_a_chain_runs_once_and_in_order(running: Station) -> None:
    running.wait_ended(running.call(chain_that_notes, "ordered"))
    running.wait(lambda: "ordered three" in running.journal())
    assert [line for line in running.journal() if line.startswith("ordered")] == [
        "ordered one",
        "ordered two",
        "ordered three",
    ]


def chord_drawn_slowly() -> tuple[str, int]:
    """(the body's id, how many members had ended before the last one was drawn)."""
    before = Job.objects.filter(task=add.name, state="succeeded").count()
    ended: list[int] = []

    def members() -> Iterator[Any]:
        for i in range(4):
            time.sleep(0.8)
            ended.append(Job.objects.filter(task=add.name, state="succeeded").count() - before)
            yield add.s(i, 1)

    body = chord(members(), total.s()).apply_async()
    return body.id, ended[-1]


def test_a_header_drawn_from_a_slow_generator_begins_before_it_is_complete(running: Station) -> None:
    body, ended = running.call(chord_drawn_slowly)
    assert running.get(body) == 1 + 2 + 3 + 4
    assert ended > 0
