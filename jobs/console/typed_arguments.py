"""A form of a task's arguments, one typed field each, from its signature; what it takes and gives is exact JSON."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms

from jobs.console.argument_fields import LEFT_OUT, ArgumentField, ListField, ObjectField
from jobs.console.argument_kinds import field_for, resolved
from jobs.console.arguments import unmasked
from jobs.errors import ArgumentsRefused
from jobs.redaction import MASK, is_plumbing, redacted
from jobs.registry import registered_tasks
from jobs.signatures import TaskSignature, signature_of

#: The two fields of a task without a signature here; in the others, what no parameter names.
MORE_ARGS, MORE_KWARGS = "*args", "**kwargs"


@dataclass(frozen=True)
class Given:
    """Stored arguments; `task` is the one they were given to, `masked` whether its secrets stay hidden.

    `unread`: something is stored that is no JSON.
    """

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    task: str = ""
    masked: bool = False
    unread: bool = False

    def shown(self) -> tuple[list[Any], dict[str, Any]]:
        """As the person may see them."""
        if not self.masked:
            return self.args, self.kwargs
        return redacted(registered_tasks().get(self.task), self.args, self.kwargs)

    def to(self, task: str) -> "Given":
        """What of them another task starts with: nothing of a secret."""
        return self if task == self.task else Given([], {}, task, self.masked)


class TypedArgumentsForm(forms.Form):
    """Fields named as the parameters."""

    #: (args, kwargs) of a sound form.
    taken: tuple[list[Any], dict[str, Any]] | None = None

    def __init__(self, task: str, given: Given, data: Any = None) -> None:
        super().__init__(data, prefix="arguments")
        self.task, self.given = task, given.to(task)
        registered = registered_tasks().get(task)
        self.signature = signature_of(registered) if registered and not is_plumbing(registered) else None
        if task:
            self.fields.update(_fields(self.signature, *self.given.shown()))

    def clean(self) -> dict[str, Any]:
        """Puts what the signature refuses under the field it is in, also while others are still missing."""
        found = self._arguments()
        self._check(*found)
        self.taken = None if self.errors else found
        return self.cleaned_data

    def _arguments(self) -> tuple[list[Any], dict[str, Any]]:
        values = {name: value for name, value in self.cleaned_data.items() if value is not LEFT_OUT}
        more, extra = values.pop(MORE_ARGS, []), values.pop(MORE_KWARGS, {})
        args: list[Any] = []
        for place, name in enumerate(self._by_position(bool(more))):
            if name not in values or place != len(args):
                break
            args.append(values.pop(name))
        kwargs = _in_order({**values, **extra}, self.given.kwargs)
        if self.given.masked:
            return unmasked([*args, *more], self.given.args), unmasked(kwargs, self.given.kwargs)
        return [*args, *more], kwargs

    def _by_position(self, more: bool) -> list[str]:
        """What was given by position stays so; and what can be given in no other way."""
        if self.signature is None:
            return []
        names = [p.name for p in self.signature.positional]
        only = sum(p.name not in self.signature.by_name for p in self.signature.positional)
        return names if more else names[: max(only, len(self.given.args))]

    def _check(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        if self.given.masked and _holds_mask([args, kwargs]):
            self.add_error(None, f"{MASK} stands where nothing was hidden. Type the value.")
        elif self.signature:
            try:
                self.signature.check(args, kwargs)
            except ArgumentsRefused as refused:
                self.add_refusal(refused)

    def add_refusal(self, refused: ArgumentsRefused) -> None:
        """Each fault under the field it is in."""
        for fault in refused.errors:
            name, *rest = self._place(fault["loc"])
            at = "".join(f"{part}: " for part in rest)
            if name not in self.errors:
                self.add_error(name if name in self.fields else None, f"{at}{fault['msg']}")

    def _place(self, loc: list[Any]) -> list[Any]:
        part, *path = loc
        if part == "args" and path:
            found = self.signature.at(path[0]) if self.signature else None
            return [found.name, *path[1:]] if found and found.name in self.fields else [MORE_ARGS, *path]
        return path if path and path[0] in self.fields else [MORE_KWARGS, *path]


def stored(args: str, kwargs: str) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) of a row's two texts; raises ValueError for what is no JSON list and object."""
    found = json.loads(args or "[]"), json.loads(kwargs or "{}")
    if not isinstance(found[0], list) or not isinstance(found[1], dict):
        raise ValueError(found)
    return found


def as_text(value: Any, before: str) -> str:
    """JSON text; the text that stood there before when it says the same."""
    try:
        same = json.dumps(json.loads(before)) == json.dumps(value)
    except ValueError:
        same = False
    if same:
        return before
    text = json.dumps(value, ensure_ascii=False)
    # Half a surrogate pair can only be stored escaped.
    return text if text.isascii() or not re.search("[\ud800-\udfff]", text) else json.dumps(value)


def _fields(
    signature: TaskSignature | None, args: list[Any], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, ArgumentField]]:
    named = signature.named if signature else []
    schema = signature.schema() if signature else {}
    places = {
        p.name: args[place] for place, p in enumerate(signature.positional if signature else ()) if place < len(args)
    }
    for p in named:
        described = schema["properties"].get(p.name, {})
        value = places.get(p.name, kwargs.get(p.name, LEFT_OUT))
        made = field_for(resolved(described, schema.get("$defs", {})), required=p.required, stored=value)
        made.label = p.name
        yield p.name, made
    yield from _more(
        signature, args[len(places) :], {k: v for k, v in kwargs.items() if k not in {p.name for p in named}}
    )


def _more(
    signature: TaskSignature | None, args: list[Any], kwargs: dict[str, Any]
) -> Iterator[tuple[str, ArgumentField]]:
    """What no parameter names: where the task takes such, or something is stored that must not get lost."""
    if args or signature is None or signature.more_args:
        yield MORE_ARGS, ListField({}, required=False, stored=args or LEFT_OUT, label="By position")
    if kwargs or signature is None or signature.more_kwargs:
        yield MORE_KWARGS, ObjectField({}, required=False, stored=kwargs or LEFT_OUT, label="By name")


def _in_order(kwargs: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What was stored first stays first: an unchanged text stays the same text."""
    return {
        name: kwargs[name] for name in [*(n for n in before if n in kwargs), *(n for n in kwargs if n not in before)]
    }


def _holds_mask(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_mask, value.values()))
    return any(map(_holds_mask, value)) if isinstance(value, list) else value == MASK
