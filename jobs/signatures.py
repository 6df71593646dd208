"""One schema a task, from its type hints: what the API, requeues, commands and forms accept, and what the body gets.

A value is taken as JSON means it: "5" is no int, 5 is a fine float, dates are ISO text, a Decimal is a number or text.
A parameter without a hint, or with one that can't be resolved, accepts any JSON.
"""

import dataclasses
import datetime
import decimal
import enum
import inspect
import types
import typing
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import pydantic
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from jobs.errors import ArgumentsRefused

Loc = tuple[str, str | int]

#: Types that JSON has no form of its own for: the body gets them as its hints say.
BEYOND_JSON = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, enum.Enum)
ANY = inspect.Parameter.empty
ONLY_BY_POSITION = inspect.Parameter.POSITIONAL_ONLY
ONLY_BY_NAME = inspect.Parameter.KEYWORD_ONLY


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a task; `adapter` is None when it accepts any JSON."""

    name: str
    kind: Any
    default: Any
    adapter: pydantic.TypeAdapter[Any] | None
    beyond_json: bool

    @property
    def required(self) -> bool:
        return self.default is ANY


@cache
def signature_of(task: Any) -> "TaskSignature":
    """The signature of a registered Celery task; a bound task's `self` is not part of it."""
    return TaskSignature(task)


class TaskSignature:
    """What a task accepts."""

    def __init__(self, task: Any) -> None:
        self.task = str(task.name)
        found = list(_parameters(task.run))
        named = [p for p in found if p.kind not in (p.kind.VAR_POSITIONAL, p.kind.VAR_KEYWORD)]
        self.positional = [p for p in named if p.kind is not ONLY_BY_NAME]
        self.by_name = {p.name: p for p in named if p.kind is not ONLY_BY_POSITION}
        self.more_args = next((p for p in found if p.kind is p.kind.VAR_POSITIONAL), None)
        self.more_kwargs = next((p for p in found if p.kind is p.kind.VAR_KEYWORD), None)
        self.named = named
        self._reads = any(p.beyond_json for p in found)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Accepts the arguments, or raises ArgumentsRefused with every fault in them."""
        if errors := list(self._faults(args, kwargs)):
            raise ArgumentsRefused(self.task, errors)

    def read(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments as the hints say (ISO text becomes a date); what can't be read so stays as it came."""
        if not self._reads:
            return args, kwargs
        return (
            [_read(self.at(place), value) for place, value in enumerate(args)],
            {name: _read(self.of(name), value) for name, value in kwargs.items()},
        )

    def schema(self, ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
        """JSON Schema of the keyword arguments."""
        takes = [*self.by_name.values(), *([self.more_kwargs] if self.more_kwargs else [])]
        typed: list[tuple[str, Literal["validation"], Any]] = [
            (p.name, "validation", p.adapter) for p in takes if p.adapter
        ]
        found, shared = pydantic.TypeAdapter.json_schemas(typed, ref_template=ref_template)
        schemas = {name: schema for (name, _), schema in found.items()}
        more: Any = schemas.get(self.more_kwargs.name, {}) if self.more_kwargs else False
        return {
            "type": "object",
            "properties": {p.name: _described(p, schemas.get(p.name, {})) for p in self.by_name.values()},
            "required": [p.name for p in self.by_name.values() if p.required],
            "additionalProperties": True if more == {} else more,
            **({"$defs": shared["$defs"]} if shared.get("$defs") else {}),
        }

    def at(self, place: int) -> Parameter | None:
        """The parameter that the positional argument at `place` fills, if there is one."""
        return self.positional[place] if place < len(self.positional) else self.more_args

    def of(self, name: str) -> Parameter | None:
        """The parameter that a keyword argument of this name fills, if there is one."""
        return self.by_name.get(name, self.more_kwargs)

    def _faults(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        by_place = {p.name for p in self.positional[: len(args)]}
        for place, value in enumerate(args):
            yield from _value_faults(("args", place), self.at(place), value)
        for name, value in kwargs.items():
            if name in by_place and name in self.by_name:
                yield _fault(("kwargs", name), "Given twice: by position and by name")
            else:
                yield from _value_faults(("kwargs", name), self.of(name), value)
        for p in self.named:
            if p.required and p.name not in by_place and (p.kind is ONLY_BY_POSITION or p.name not in kwargs):
                yield _fault(("kwargs", p.name), "Missing")


def _parameters(run: Any) -> Iterator[Parameter]:
    try:
        found = inspect.signature(run).parameters.values()
    except (TypeError, ValueError):  # a callable without a signature accepts whatever it is given
        found = inspect.signature(lambda *args, **kwargs: None).parameters.values()
    scope = getattr(inspect.unwrap(run), "__globals__", {})
    for p in found:
        hint = _hint(p, scope)
        adapter = _adapter(hint)
        yield Parameter(p.name, p.kind, p.default, adapter, adapter is not None and _is_beyond_json(hint))


def _hint(p: inspect.Parameter, scope: dict[str, Any]) -> Any:
    if p.annotation is ANY:
        return Any
    holder = types.SimpleNamespace(__annotations__={p.name: p.annotation})
    try:
        hint = typing.get_type_hints(holder, globalns=scope, include_extras=True)[p.name]
    except Exception:  # noqa: BLE001  a hint for type checkers only is no rule for callers
        return Any
    return typing.Optional[hint] if p.default is None else hint  # noqa: UP045  (X | None fails for some hints)


def _adapter(hint: Any) -> pydantic.TypeAdapter[Any] | None:
    if hint in (Any, object):
        return None
    try:
        adapter = pydantic.TypeAdapter(hint)
        adapter.json_schema()
    except Exception:  # noqa: BLE001  pydantic knows no JSON form of it: any JSON will do
        return None
    return adapter


def _is_beyond_json(hint: Any) -> bool:
    if isinstance(hint, type) and not typing.get_args(hint):
        return issubclass(hint, (*BEYOND_JSON, pydantic.BaseModel)) or dataclasses.is_dataclass(hint)
    return any(_is_beyond_json(part) for part in typing.get_args(hint))


def _value_faults(loc: Loc, parameter: Parameter | None, value: Any) -> Iterator[dict[str, Any]]:
    if parameter is None:
        yield _fault(loc, "Unexpected argument")
        return
    try:
        text = to_json(value)
        if parameter.adapter:
            parameter.adapter.validate_json(text, strict=True)
    except PydanticSerializationError as error:
        yield _fault(loc, f"Not JSON: {error}")
    except pydantic.ValidationError as refused:
        for fault in refused.errors(include_url=False, include_context=False, include_input=False):
            yield _fault((*loc, *fault["loc"]), fault["msg"])


def _read(parameter: Parameter | None, value: Any) -> Any:
    if parameter is None or parameter.adapter is None or not parameter.beyond_json:
        return value
    try:
        return parameter.adapter.validate_json(to_json(value), strict=True)
    except (pydantic.ValidationError, PydanticSerializationError):
        return value


def _described(parameter: Parameter, schema: dict[str, Any]) -> dict[str, Any]:
    if parameter.required:
        return schema
    try:
        return {**schema, "default": to_jsonable_python(parameter.default)}
    except PydanticSerializationError:
        return schema


def _fault(loc: Sequence[str | int], msg: str) -> dict[str, Any]:
    return {"loc": list(loc), "msg": msg}
