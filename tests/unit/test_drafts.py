"""What a caller posts becomes a row that can be read again, or is refused at once with a sentence."""

import uuid

import pytest
from celery import chain, chord, group

from jobs import broker
from jobs.broker import Hint
from jobs.errors import ArgumentsRefused, UniqueKeyRefused
from jobs.messages import dumps
from jobs.models import Job
from tests.plain_tasks import add, echo, total

pytestmark = pytest.mark.django_db(transaction=True)

#: kombu writes it, and can't read it again.
UNREADABLE = {"__type__": "nope", "__value__": 1}


def test_arguments_that_no_worker_could_read_are_refused() -> None:
    with pytest.raises(ArgumentsRefused, match="read again"):
        echo.delay(UNREADABLE)
    assert not Job.objects.exists()


def test_headers_that_nobody_could_read_are_refused() -> None:
    with pytest.raises(ArgumentsRefused, match="read again"):
        add.apply_async((1, 2), headers={"x": UNREADABLE})
    assert not Job.objects.exists()


def test_an_id_may_be_a_uuid() -> None:
    id = uuid.uuid4()
    assert add.apply_async((1, 2), task_id=id).id == str(id)
    assert Job.objects.get().id == str(id)


@pytest.mark.parametrize("canvas", [group, chain, lambda *steps: chord(steps, total.s())])
def test_a_unique_key_on_a_step_of_a_canvas_is_refused(canvas) -> None:
    """The canvas would wait for ever for a step whose place a live job took."""
    with pytest.raises(UniqueKeyRefused, match="by itself"):
        canvas(add.s(1, 2).set(unique_key="once"), add.s(3)).apply_async()
    assert not Job.objects.exists()


def test_a_row_that_cannot_be_read_keeps_no_other_from_being_rung(bell) -> None:
    envelope = dumps({"headers": {"id": "good", "task": "t"}, "properties": {}})
    good = Hint("default", None, envelope, "[[], {}, {}]")
    assert broker.ring([Hint("default", None, "not JSON", "[]"), good])
    assert broker.depths(["default"])["default"] == 1
