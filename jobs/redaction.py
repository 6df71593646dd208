"""Hides what a task calls secret: `@shared_task(secrets=("password",))` names arguments, or keys inside them.

The secrets of a task that this process does not know are unknown too, so all of its arguments count as secret;
and so do those of Celery's own (celery.map, celery.chord), which hold the arguments of other tasks.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from celery.utils.saferepr import saferepr

from jobs.signatures import signature_of

MASK = "[redacted]"
#: Text shorter than this is masked as a whole word only: "7" must not eat every 7 of a traceback.
SHORT = 4


def redacted(task: Any | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) with "[redacted]" in the place of every secret."""
    if task is None or is_plumbing(task):
        return [MASK for _ in args], dict.fromkeys(kwargs, MASK)
    secrets = secrets_of(task)
    if not secrets:
        return list(args), dict(kwargs)
    shown = [MASK if _is_secret_place(task, i, secrets) else _masked(arg, secrets) for i, arg in enumerate(args)]
    return shown, _masked(dict(kwargs), secrets)


def redacted_text(text: str, task: Any | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The text (an error, a traceback) with the values of this call's secrets masked where they occur."""
    for pattern in _patterns(_secret_leaves(task, args, kwargs)):
        text = pattern.sub(MASK, text)
    return text


def redacted_value(value: Any, task: Any | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The JSON value (a result) with secret keys masked, and secret values masked inside its texts."""
    return _masked_text(_masked(value, secrets_of(task)), list(_patterns(_secret_leaves(task, args, kwargs))))


def repr_for_events(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
    """(argsrepr, kwargsrepr) without secrets, for the message's headers: logs, events, Flower."""
    shown_args, shown_kwargs = redacted(task, args, kwargs)
    return saferepr(tuple(shown_args)), saferepr(shown_kwargs)


def secrets_of(task: Any | None) -> frozenset[str]:
    """The names that the task declares secret."""
    return frozenset(getattr(task, "secrets", None) or ())


def is_plumbing(task: Any) -> bool:
    """Whether it is one of Celery's own tasks, not of the project's."""
    return str(task.name).startswith("celery.")


def _is_secret_place(task: Any, place: int, secrets: frozenset[str]) -> bool:
    parameter = signature_of(task).at(place)
    return parameter is not None and parameter.name in secrets


def _masked(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: MASK if key in secrets else _masked(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, secrets) for item in value]
    return value


def _masked_text(value: Any, patterns: list[re.Pattern[str]]) -> Any:
    if isinstance(value, Mapping):
        return {_masked_text(key, patterns): _masked_text(item, patterns) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked_text(item, patterns) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return MASK if any(p.fullmatch(str(value)) for p in patterns) else value
    if isinstance(value, str):
        for pattern in patterns:
            value = pattern.sub(MASK, value)
    return value


def _secret_leaves(task: Any | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """Every plain value that stands where `redacted` puts the mask."""
    if task is None or is_plumbing(task):
        yield from _leaves([args, kwargs])
        return
    secrets = secrets_of(task)
    if not secrets:
        return
    for place, value in enumerate(args):
        yield from (_leaves(value) if _is_secret_place(task, place, secrets) else _named_leaves(value, secrets))
    yield from _named_leaves(kwargs, secrets)


def _named_leaves(value: Any, secrets: frozenset[str]) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item) if key in secrets else _named_leaves(item, secrets)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named_leaves(item, secrets)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield value


def _patterns(leaves: Iterator[Any]) -> Iterator[re.Pattern[str]]:
    """How each secret may be written: as it is, in a repr, in JSON; the longest first."""
    written = {form for leaf in leaves for text in [str(leaf)] for form in (text, repr(text)[1:-1], _json(text))}
    for form in sorted(written - {""}, key=lambda text: (-len(text), text)):
        short = len(form) < SHORT
        yield re.compile(rf"(?<!\w){re.escape(form)}(?!\w)" if short else re.escape(form))


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]
