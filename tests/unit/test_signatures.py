"""A task's signature: what it accepts, refuses, describes, and hands to the body."""

import datetime
import decimal
import enum
import uuid
from typing import TYPE_CHECKING, Any, Literal

import pydantic
import pytest
from celery import Celery

from jobs.errors import ArgumentsRefused
from jobs.signatures import signature_of

if TYPE_CHECKING:
    from nowhere import OnlyForTypeCheckers  # type: ignore[import-not-found]

app = Celery("signatures", set_as_current=False)


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Address(pydantic.BaseModel):
    street: str
    since: datetime.date | None = None


@app.task
def plain(a, b=2):
    return a, b


@app.task(bind=True)
def bound(self, name: str):
    return name


@app.task(autoretry_for=(OSError,))
def retried(name: str):
    return name


@app.task
def typed(
    count: int = 0,
    ratio: float = 0.0,
    on: datetime.date | None = None,
    at: datetime.datetime | None = None,
    amount: decimal.Decimal = decimal.Decimal(0),
    key: uuid.UUID | None = None,
    size: Size = Size.SMALL,
    mode: Literal["fast", "slow"] = "fast",
    address: Address | None = None,
    names: list[str] = [],  # noqa: B006  (a third-party task may)
    days: dict[str, datetime.date] = {},  # noqa: B006
    either: int | str = 0,
    implicit: str = None,  # type: ignore[assignment]  # noqa: RUF013  (a third-party task may)
):
    return locals()


@app.task
def open_ended(first: int, /, *rest: int, only: bool = False, **more: datetime.date):
    return first, rest, only, more


@app.task
def unresolvable(thing: "OnlyForTypeCheckers", count: int):
    return thing, count


@app.task
def unschemed(callback: Celery, x: int = 1):
    return x


class ClassTask(app.Task):  # type: ignore[name-defined]
    name = "class-based"

    def run(self, name: str):
        return name


def refusals(task: Any, *args: Any, **kwargs: Any) -> list[list[Any]]:
    try:
        signature_of(task).check(args, kwargs)
    except ArgumentsRefused as refused:
        return [fault["loc"] for fault in refused.errors]
    return []


@pytest.mark.parametrize("value", [None, 1, "x", [1, {"a": None}], {"b": 1.5}])
def test_an_untyped_parameter_accepts_any_json(value):
    assert refusals(plain, value) == []


def test_a_missing_argument_is_named():
    assert refusals(plain) == [["kwargs", "a"]]


def test_an_unexpected_argument_is_named():
    assert refusals(plain, 1, c=3) == [["kwargs", "c"]]
    assert refusals(plain, 1, 2, 3) == [["args", 2]]


def test_an_argument_given_twice_is_refused():
    assert refusals(plain, 1, a=2) == [["kwargs", "a"]]


@pytest.mark.parametrize("task", [bound, retried, ClassTask()])
def test_self_and_wrappers_are_not_part_of_the_signature(task):
    assert refusals(task, "x") == []
    assert refusals(task, name=5) == [["kwargs", "name"]]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"count": 5},
        {"ratio": 5},
        {"on": "2026-01-31"},
        {"on": None},
        {"at": "2026-01-31T10:00:00+02:00"},
        {"amount": 12.5},
        {"amount": "12.50"},
        {"key": "12345678-1234-5678-1234-567812345678"},
        {"size": "large"},
        {"mode": "slow"},
        {"address": {"street": "High", "since": "2020-01-01"}},
        {"names": ["a", "b"]},
        {"days": {"x": "2026-01-01"}},
        {"either": "x"},
        {"implicit": None},
        {"on": datetime.date(2026, 1, 31), "amount": decimal.Decimal("1.1"), "size": Size.LARGE},
    ],
)
def test_what_json_means_is_accepted(kwargs):
    assert refusals(typed, **kwargs) == []


@pytest.mark.parametrize(
    ("kwargs", "loc"),
    [
        ({"count": "5"}, ["kwargs", "count"]),
        ({"count": True}, ["kwargs", "count"]),
        ({"ratio": "5.0"}, ["kwargs", "ratio"]),
        ({"on": "soon"}, ["kwargs", "on"]),
        ({"on": 20260131}, ["kwargs", "on"]),
        ({"at": 1}, ["kwargs", "at"]),
        ({"amount": "much"}, ["kwargs", "amount"]),
        ({"key": "no"}, ["kwargs", "key"]),
        ({"size": "huge"}, ["kwargs", "size"]),
        ({"mode": "other"}, ["kwargs", "mode"]),
        ({"address": {"street": 5}}, ["kwargs", "address", "street"]),
        ({"names": "ab"}, ["kwargs", "names"]),
        ({"names": ["a", 1]}, ["kwargs", "names", 1]),
        ({"days": {"x": "never"}}, ["kwargs", "days", "x"]),
        ({"names": ["\ud800"]}, ["kwargs", "names"]),
        ({"names": object()}, ["kwargs", "names"]),
    ],
)
def test_what_json_does_not_mean_is_refused_at_its_place(kwargs, loc):
    assert loc in refusals(typed, **kwargs)


def test_every_fault_is_told_at_once():
    with pytest.raises(ArgumentsRefused, match=r"kwargs.count: .*kwargs.mode: "):
        signature_of(typed).check([], {"count": "x", "mode": "y"})


def test_open_ended_parameters_are_checked_by_their_hints():
    assert refusals(open_ended, 1, 2, 3, only=True, day="2026-01-01") == []
    assert refusals(open_ended, 1, "2", day="x") == [["args", 1], ["kwargs", "day"]]
    assert refusals(open_ended, only=True) == [["kwargs", "first"]]


def test_a_hint_that_cannot_be_resolved_accepts_any_json():
    assert refusals(unresolvable, {"any": 1}, 1) == []
    assert refusals(unresolvable, {"any": 1}, "1") == [["args", 1]]
    assert refusals(unschemed, "whatever", x=2) == []


def test_the_body_gets_what_its_hints_say():
    _, kwargs = signature_of(typed).read(
        [],
        {
            "on": "2026-01-31",
            "amount": "12.50",
            "size": "large",
            "address": {"street": "High"},
            "days": {"x": "2026-01-01"},
            "count": 3,
        },
    )
    assert kwargs == {
        "on": datetime.date(2026, 1, 31),
        "amount": decimal.Decimal("12.50"),
        "size": Size.LARGE,
        "address": Address(street="High"),
        "days": {"x": datetime.date(2026, 1, 1)},
        "count": 3,
    }


def test_positional_values_are_read_too():
    args, kwargs = signature_of(open_ended).read([1, "2"], {"day": "2026-01-01"})
    assert (list(args), kwargs) == ([1, "2"], {"day": datetime.date(2026, 1, 1)})


def test_what_cannot_be_read_reaches_the_body_as_it_came():
    given = {"on": "soon", "size": Size.LARGE, "either": "5", "count": "5", "surprise": [1]}
    assert signature_of(typed).read([], given)[1] == given


def test_reading_a_task_without_such_hints_touches_nothing():
    args, kwargs = [object()], {"b": object()}
    assert signature_of(plain).read(args, kwargs)[0] is args
    assert signature_of(plain).read(args, kwargs)[1] is kwargs


def test_the_schema_describes_the_keyword_arguments():
    schema = signature_of(typed).schema()
    assert schema["properties"]["mode"] == {"enum": ["fast", "slow"], "type": "string", "default": "fast"}
    assert schema["properties"]["size"]["default"] == "small"
    assert schema["required"] == []
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Address"]["required"] == ["street"]


def test_the_schema_of_an_open_ended_task_says_what_more_it_takes():
    schema = signature_of(open_ended).schema()
    assert schema["additionalProperties"] == {"type": "string", "format": "date"}
    assert list(schema["properties"]) == ["only"]


def test_a_signature_is_made_once_a_task():
    assert signature_of(plain) is signature_of(plain)
