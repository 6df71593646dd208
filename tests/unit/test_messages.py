"""A stored message comes back as Celery accepted it: NUL, NaN, times, decimals, ids; through the database too."""

import math
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from jobs.lifecycle import Claimed
from jobs.messages import arguments, dumps, loads, readable, storable, with_arguments
from tests.plain_tasks import echo
from tests.support.moves import deliver, queued, row, take

VALUES: dict[str, Any] = {
    "NUL": "a\x00b",
    "half a surrogate pair": "\udcff",
    "beyond the plane": "🚂",
    "datetime": datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "date": date(2030, 1, 2),
    "time": time(3, 4, 5),
    "Decimal": Decimal("10.10"),
    "UUID": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "infinity": math.inf,
    "large number": 2**70,
    "float": 0.1 + 0.2,
    "nested": {"a": [1, {"b": None}], "ключ": True, "": ""},
    "percent and quotes": "%s %(x)s ' \" \\ ; --",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_comes_back_the_same(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert type(loads(dumps(value))) is type(value)


def test_nan_comes_back_as_nan() -> None:
    assert math.isnan(loads(dumps(math.nan)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_an_argument_comes_back_from_the_database_with_the_claim(value: Any) -> None:
    claimed = take(queued(value, task=echo))
    assert isinstance(claimed, Claimed)
    assert arguments(claimed.body) == ([value], {})


@pytest.mark.django_db(transaction=True)
def test_nan_passes_the_database_too() -> None:
    (value,), _ = arguments(row(queued(math.nan, task=echo)).body)
    assert math.isnan(value)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["NUL", "datetime", "Decimal", "UUID", "nested"])
def test_a_body_gets_what_was_posted_and_may_return_it(name: str) -> None:
    job_id = queued(VALUES[name], task=echo)
    deliver(echo, job_id)
    assert row(job_id).state == "succeeded"
    assert echo.AsyncResult(job_id).get(timeout=2) == {"args": [VALUES[name]], "kwargs": {}}


def test_what_is_given_replaces_that_part_whole() -> None:
    body = dumps([[1], {"a": 2}, {"chord": None}])
    assert arguments(with_arguments(body, [9], None)) == ([9], {"a": 2})
    assert arguments(with_arguments(body, None, {"b": 3})) == ([1], {"b": 3})
    assert loads(with_arguments(body, [], {}))[2] == {"chord": None}


@pytest.mark.parametrize("text", ["plain", "a\x00b", "\udcff", "🚂"])
def test_storable_text_is_text_that_can_be_stored(text: str) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    kept.encode("utf-8")


def test_storable_text_that_was_so_before_is_unchanged() -> None:
    assert storable("naïve 🚂\n") == "naïve 🚂\n"


@pytest.mark.parametrize("body", ["", "not JSON", "null", "7", "{}", "[]", "[[1]]", "[1, 2, 3, 4]"])
def test_a_body_whose_arguments_cant_be_told_is_not_readable(body: str) -> None:
    assert not readable(body)


def test_a_body_as_celery_stores_it_is_readable() -> None:
    assert readable('[[1], {"x": 2}, {"chain": null}]')
