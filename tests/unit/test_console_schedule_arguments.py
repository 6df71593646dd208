"""The typed form of arguments: each kind there and back exactly, refusals beside their field, secrets kept hidden."""

import datetime
import enum
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

import pydantic
import pytest
from celery import current_app
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from jobs.console.argument_fields import ChoiceField, JsonField
from jobs.console.typed_arguments import Given, TypedArgumentsForm
from jobs.models import Activity
from tests.support.people import browser
from tests.support.schedule_forms import PAGE, add, added, edit, edited, errors, every_five_minutes, previewed, said

pytestmark = pytest.mark.django_db


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(pydantic.BaseModel):
    street: str
    number: int = 1


def everything(
    text: str,
    whole: int,
    number: float,
    yes: bool,
    day: datetime.date,
    moment: datetime.datetime,
    size: Literal["s", "m", 3],
    colour: Colour,
    money: Decimal,
    key: uuid.UUID,
    numbers: list[int],
    names: dict[str, str],
    place: Address,
    anything,  # type: ignore[no-untyped-def]
    maybe: int | None = None,
    note: str = "none",
    loud: bool = False,
) -> None:
    """Takes one of each."""


def loose(*more: Any, **named: Any) -> None:
    """Takes whatever it is given."""


def by_place(first: int, /, second: str) -> None:
    """One of its arguments has no name."""


def secretive(user: str, pin: int, password: str = "", nested: dict[str, Any] | None = None) -> None:
    """Has secrets."""


GOOD: dict[str, Any] = {
    "text": "a\nb  ",
    "whole": 2**70 + 1,
    "number": 1.5,
    "yes": True,
    "day": "2027-03-28",
    "moment": "2027-03-28T02:30:00+02:00",
    "size": 3,
    "colour": "blue",
    "money": "12.50",
    "key": "6f0b0b0c-6f0b-4b0c-8b0c-6f0b0b0c6f0b",
    "numbers": [1, 2**60],
    "names": {"a": "ü"},
    "place": {"street": "Rue X", "number": 3},
    "anything": [None, {"x": 1}],
}
#: The same as a browser sends it.
TYPED = {
    "text": "a\r\nb  ",
    "whole": str(2**70 + 1),
    "number": "1.5",
    "yes": "true",
    "day": "2027-03-28",
    "moment": "2027-03-28T02:30:00+02:00",
    "size": "3",
    "colour": '"blue"',
    "money": "12.50",
    "key": "6f0b0b0c-6f0b-4b0c-8b0c-6f0b0b0c6f0b",
    "numbers": f"[1, {2**60}]",
    "names": '{"a": "ü"}',
    "place": '{"street": "Rue X", "number": 3}',
    "anything": '[null, {"x": 1}]',
}


@pytest.fixture(autouse=True)
def tasks() -> Iterator[None]:
    """Tasks of this file, known to this process."""
    names = []
    for function in (everything, loose, by_place, secretive):
        made = current_app.task(name=f"console.{function.__name__}", secrets=("password", "pin"))(function)
        names.append(str(made.name))
    current_app.finalize()
    yield
    for name in names:
        del current_app.tasks[name]


@pytest.fixture
def admin() -> Client:
    return browser("admin")


def form(task: str, typed: dict[str, Any] | None = None, **given: Any) -> TypedArgumentsForm:
    """The form of a task of this file; `given` is what is stored."""
    name = f"console.{task}"
    data = None if typed is None else {f"arguments-{field}": value for field, value in typed.items()}
    return TypedArgumentsForm(name, Given(**{"task": name, **given}), data)


def taken(of: TypedArgumentsForm) -> tuple[list[Any], dict[str, Any]]:
    """What a sound form gives."""
    assert of.is_valid(), of.errors
    assert of.taken
    return of.taken


def shown(of: TypedArgumentsForm) -> dict[str, Any]:
    """What a browser would send of it untouched (line breaks as browsers send them)."""
    values = {name: of[name].value() for name in of.fields}
    return {name: str(value).replace("\n", "\r\n") for name, value in values.items() if value not in (None, False)}


# --- there and back ---------------------------------------------------------------------------------


def test_each_kind_is_taken_exactly() -> None:
    args, kwargs = taken(form("everything", TYPED))
    assert args == []
    assert json.dumps(kwargs) == json.dumps(GOOD)


def test_what_is_stored_is_shown_and_stays_as_it_is() -> None:
    for stored in (GOOD, {**GOOD, "maybe": None, "note": "", "loud": True}, {**GOOD, "money": 12.5, "number": 1}):
        untouched = form("everything", shown(form("everything", kwargs=stored)), kwargs=stored)
        assert json.dumps(taken(untouched)[1]) == json.dumps(stored)


@pytest.mark.parametrize(
    "odd",
    [{"whole": "7"}, {"text": None}, {"text": "a\rb"}, {"yes": "maybe"}, {"size": "xl"}, {"day": 5}, {"colour": 1}],
)
def test_a_stored_value_that_its_field_cant_hold_is_shown_as_json_and_not_lost(odd: dict[str, Any]) -> None:
    [name] = odd
    of = form("everything", kwargs={**GOOD, **odd})
    assert isinstance(of.fields[name], JsonField)
    assert json.loads(of[name].value()) == odd[name]


@pytest.mark.parametrize("name", ["maybe", "note", "loud"])
def test_what_is_left_empty_is_left_out(name: str) -> None:
    assert name not in taken(form("everything", {**TYPED, name: ""}))[1]
    stored = {**GOOD, "maybe": 5, "note": "x", "loud": True}
    assert (
        name not in taken(form("everything", {**shown(form("everything", kwargs=stored)), name: ""}, kwargs=stored))[1]
    )


def test_a_choice_lists_its_values_and_what_it_is_without_one() -> None:
    of = form("everything")
    size, loud = of.fields["size"], of.fields["loud"]
    assert isinstance(size, ChoiceField)
    assert isinstance(loud, ChoiceField)
    assert size.widget.choices == [("", "Choose"), ('"s"', "s"), ('"m"', "m"), ("3", "3")]
    assert loud.widget.choices == [("", "Default (No)"), ("true", "Yes"), ("false", "No")]


def test_what_came_by_position_stays_by_position() -> None:
    place = [GOOD[name] for name in GOOD]
    untouched = form("everything", shown(form("everything", args=place)), args=place)
    assert taken(untouched) == (place, {})
    args, kwargs = taken(form("by_place", {"first": "1", "second": "x"}))
    assert (args, kwargs) == ([1], {"second": "x"})


def test_a_task_that_takes_anything_has_two_boxes() -> None:
    assert list(form("loose").fields) == ["*args", "**kwargs"]
    assert taken(form("loose", {"*args": "[1]", "**kwargs": '{"a": 2}'})) == ([1], {"a": 2})
    assert list(form("nobody.knows").fields) == ["*args", "**kwargs"]


def test_arguments_that_no_parameter_takes_any_more_are_shown_to_be_mended() -> None:
    of = form("by_place", kwargs={"second": "x", "third": 3}, args=[1])
    assert json.loads(of["**kwargs"].value()) == {"third": 3}
    refused = form("by_place", shown(of), kwargs={"second": "x", "third": 3}, args=[1])
    assert "Unexpected argument" in refused.errors["**kwargs"][0]


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("text", "", "required"),
        ("whole", "1.5", "whole number"),
        ("whole", "twelve", "whole number"),
        ("number", "NaN", "number"),
        ("number", "1e999", "too large"),
        ("day", "2027-02-30", "date"),
        ("moment", "yesterday", "datetime"),
        ("size", '"xl"', "listed values"),
        ("money", "much", "decimal"),
        ("key", "not-a-key", "UUID"),
        ("numbers", '["a"]', "0: Input should be a valid integer"),
        ("numbers", '{"a": 1}', "a list"),
        ("names", "[1]", "an object"),
        ("place", '{"number": 3}', "street"),
        ("anything", "plain", "not JSON"),
        ("anything", "[" * 100_000, "not JSON"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(name: str, typed: str, words: str) -> None:
    refused = form("everything", {**TYPED, name: typed})
    assert not refused.is_valid()
    assert list(refused.errors) == [name]
    assert words in refused.errors[name][0]


def test_the_schedules_form_says_so_too_and_keeps_what_was_typed() -> None:
    answer = add(browser("admin"), task="process_payment", arguments__order_id="o-1", arguments__amount="much")
    assert "decimal" in errors(answer)["id_arguments-amount"][0]
    html = answer.content.decode()
    assert 'value="much"' in html
    assert ">\no-1<" in html


def test_one_that_is_missing_does_not_hide_what_is_wrong_with_another() -> None:
    refused = form("everything", {"whole": "5", "key": "no-key"})
    assert "UUID" in refused.errors["key"][0]
    assert refused.errors["text"] == ["This field is required."]


# --- stored in the row ------------------------------------------------------------------------------


def test_a_schedule_stores_them_exactly(admin: Client) -> None:
    row = added(admin, task="console.everything", **{f"arguments-{name}": value for name, value in TYPED.items()})
    assert json.loads(row.kwargs) == GOOD
    assert row.args == "[]"


def test_an_unchanged_text_stays_the_same_text(admin: Client) -> None:
    row = every_five_minutes(task="console.loose", kwargs='{"a":1.0,   "b" : "ü"}', args="[ 1 ]")
    typed = {"arguments-*args": "[1]", "arguments-**kwargs": '{"a": 1.0, "b": "ü"}'}
    row = edited(admin, row, **typed)
    assert (row.args, row.kwargs) == ("[ 1 ]", '{"a":1.0,   "b" : "ü"}')


def test_half_a_surrogate_pair_is_stored_escaped(admin: Client) -> None:
    row = every_five_minutes()
    PeriodicTask.objects.filter(pk=row.pk).update(task="gone.task", enabled=False)
    row.refresh_from_db()
    row = edited(admin, row, **{"arguments-*args": r'["\ud800", "\u0000"]'})
    assert json.loads(row.args) == ["\ud800", "\x00"]


def test_another_task_brings_its_own_fields(admin: Client) -> None:
    html = previewed(admin, task="send_email", _fields="1")
    assert 'name="arguments-subject"' in html
    assert 'name="arguments_of" value="send_email"' in html
    assert "takes no arguments" in previewed(admin, task="check_health", _fields="1")


def test_without_javascript_another_task_asks_for_its_arguments_first(admin: Client) -> None:
    answer = add(admin, task="send_email", arguments_of="check_health")
    html = answer.content.decode()
    assert "Nothing was saved yet. This task takes other arguments" in html
    assert 'name="arguments-subject"' in html
    assert added(admin, task="check_health", arguments_of="send_email").task == "check_health"


# --- secrets ----------------------------------------------------------------------------------------

STORED = {"user": "ada", "pin": 4711, "password": "hunter22", "nested": {"password": "swordfish", "host": "h"}}


@pytest.fixture
def editor() -> Client:
    """May edit schedules, not see payloads."""
    user = User.objects.create_user("editor", is_staff=True)
    names = ("view_periodictask", "change_periodictask", "add_periodictask")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def row() -> PeriodicTask:
    return every_five_minutes(task="console.secretive", kwargs=json.dumps(STORED))


def as_shown(client: Client, row: PeriodicTask) -> dict[str, Any]:
    arguments = client.get(reverse(f"{PAGE}_edit", args=[row.pk])).context["form"].arguments
    return {f"arguments-{name}": value for name, value in shown(arguments).items()}


def test_who_may_not_see_payloads_finds_masks_and_no_secret(editor: Client, row: PeriodicTask) -> None:
    html = editor.get(reverse(f"{PAGE}_edit", args=[row.pk])).content.decode()
    assert "ada" in html
    assert html.count("[redacted]") >= 3
    for secret in ("hunter22", "4711", "swordfish"):
        assert secret not in html
        assert secret not in previewed(editor, row, task=row.task, _fields="1")
        assert secret not in editor.get(reverse(f"{PAGE}_change", args=[row.pk])).content.decode()


def test_saving_keeps_what_was_hidden(editor: Client, row: PeriodicTask) -> None:
    sent = {**as_shown(editor, row), "arguments-user": "bob"}
    assert json.loads(edited(editor, row, **sent).kwargs) == {**STORED, "user": "bob"}


def test_a_hidden_value_may_be_typed_anew(editor: Client, row: PeriodicTask) -> None:
    sent = {**as_shown(editor, row), "arguments-pin": "12", "arguments-password": "new"}
    assert json.loads(edited(editor, row, **sent).kwargs) == {**STORED, "pin": 12, "password": "new"}
    refused = edit(editor, row, **{**sent, "arguments-pin": "x"})
    assert "whole number" in errors(refused)["id_arguments-pin"][0]


def test_a_mask_does_not_carry_a_secret_into_another_task(editor: Client, row: PeriodicTask) -> None:
    sent = {"arguments-**kwargs": json.dumps({"password": "[redacted]", "pin": "[redacted]"})}
    refused = edit(editor, row, task="console.loose", **sent)
    assert "Type the value" in " ".join(errors(refused)["arguments"])
    row.refresh_from_db()
    assert row.task == "console.secretive"


def test_the_history_holds_no_secret(admin: Client, row: PeriodicTask) -> None:
    sent = {**as_shown(admin, row), "arguments-password": "tr0ub4dor", "arguments-user": "bob"}
    edited(admin, row, **sent)
    said_of_it = json.dumps(Activity.objects.get().facts)
    assert "bob" in said_of_it
    assert "hunter22" not in said_of_it
    assert "tr0ub4dor" not in said_of_it


def test_arguments_that_nobody_can_read_can_be_replaced(admin: Client) -> None:
    row = every_five_minutes(task="console.loose")
    PeriodicTask.objects.filter(pk=row.pk).update(kwargs="{broken", args="5")
    assert admin.get(reverse(f"{PAGE}_edit", args=[row.pk])).status_code == 200
    assert "nobody can read them" in admin.get(reverse(f"{PAGE}_change", args=[row.pk])).content.decode()
    row.refresh_from_db()
    row = edited(admin, row, **said(name=row.name, task=row.task), **{"arguments-**kwargs": '{"a": 1}'})
    assert json.loads(row.kwargs) == {"a": 1}


def test_of_arguments_that_nobody_can_read_the_form_says_so(admin: Client) -> None:
    row = every_five_minutes()
    url = reverse(f"{PAGE}_edit", args=[row.pk])
    assert "nobody can read it" not in admin.get(url).content.decode()
    PeriodicTask.objects.filter(pk=row.pk).update(kwargs="{no json")
    assert "nobody can read it" in admin.get(url).content.decode()
