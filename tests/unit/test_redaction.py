"""What a task calls secret is seen by nobody who may not see it."""

from types import SimpleNamespace
from typing import Any

from celery import Celery

from jobs.ledger.request import LedgerRequest
from jobs.redaction import MASK, redacted, redacted_text, redacted_value, repr_for_events

app = Celery("redaction", set_as_current=False)


@app.task(secrets=("password", "card"))
def sign_in(user, password=None, payment=None):
    return user


@app.task
def plain(a, b=None):
    return a


def test_a_secret_given_by_name_is_masked():
    assert redacted(sign_in, ["ann"], {"password": "hunter2"}) == (["ann"], {"password": MASK})


def test_a_secret_given_by_position_is_masked():
    assert redacted(sign_in, ["ann", "hunter2"], {}) == (["ann", MASK], {})


def test_a_secret_key_deep_inside_an_argument_is_masked():
    payment = [{"card": {"number": "4111"}, "sum": 5}]
    assert redacted(sign_in, ["ann"], {"payment": payment})[1] == {"payment": [{"card": MASK, "sum": 5}]}


def test_the_arguments_of_a_task_without_secrets_are_shown_as_they_are():
    assert redacted(plain, [1], {"b": {"password": "x"}}) == ([1], {"b": {"password": "x"}})


def test_every_argument_of_an_unknown_task_is_masked():
    assert redacted(None, [1], {"b": 2}) == ([MASK], {"b": MASK})
    assert redacted_text("no such user ann", None, ["ann"], {}) == f"no such user {MASK}"


def test_every_argument_of_celerys_own_tasks_is_masked():
    kwargs = {"task": {"task": "login"}, "it": [["ann", "hunter2"]]}
    assert redacted(app.tasks["celery.map"], [1], kwargs) == ([MASK], {"task": MASK, "it": MASK})
    assert redacted_text("no hunter2", app.tasks["celery.map"], [], kwargs) == f"no {MASK}"


def test_the_caller_keeps_its_own_arguments():
    kwargs = {"payment": {"card": "4111"}}
    redacted(sign_in, [], kwargs)
    assert kwargs == {"payment": {"card": "4111"}}


def test_a_secret_is_masked_in_an_error_and_its_repr():
    given = {"password": 'it\'s\n"mine"'}
    text = f"ValueError({given['password']!r}) and {given['password']}"
    assert redacted_text(text, sign_in, ["ann"], given) == f"ValueError('{MASK}') and {MASK}"


def test_a_short_secret_is_masked_as_a_word_only():
    assert redacted_text("line 17 of 7: 7", sign_in, ["ann", 7], {}) == f"line 17 of {MASK}: {MASK}"


def test_a_secret_inside_a_secret_is_masked_whole():
    text = redacted_text("abcdefgh abcd", sign_in, [], {"password": "abcd", "payment": {"card": "abcdefgh"}})
    assert text == f"{MASK} {MASK}"


def test_a_result_shows_neither_secret_keys_nor_secret_values():
    result = {"echo": "hunter2!", "password": "x", "n": [123456]}
    given = {"password": "hunter2", "payment": {"card": 123456}}
    assert redacted_value(result, sign_in, ["ann"], given) == {"echo": f"{MASK}!", "password": MASK, "n": [MASK]}


def test_a_result_of_a_task_without_secrets_is_untouched():
    assert redacted_value({"password": "x"}, plain, ["x"], {}) == {"password": "x"}


def test_events_carry_no_secret():
    shown = repr_for_events(sign_in, ["ann", "hunter2"], {"payment": {"card": "4111"}})
    assert shown == (f"('ann', '{MASK}')", f"{{'payment': {{'card': '{MASK}'}}}}")


def test_events_do_not_tell_what_a_task_with_secrets_returned_or_raised() -> None:
    sent: dict[str, Any] = {}
    request = LedgerRequest.__new__(LedgerRequest)
    request.id = "j1"
    request._eventer = SimpleNamespace(enabled=True, send=lambda kind, **fields: sent.update(fields))
    for secrets, shown in ((("password",), MASK), ((), "{'token': 'hunter2'}")):
        request._task = SimpleNamespace(secrets=secrets, send_events=True)
        request.send_event("task-succeeded", result="{'token': 'hunter2'}", runtime=0.1)
        assert (sent["result"], sent["runtime"]) == (shown, 0.1)
