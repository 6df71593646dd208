"""Which field an argument has: by its JSON Schema, and by the value that is stored."""

from collections.abc import Mapping
from typing import Any

from jobs.console.argument_fields import (
    LEFT_OUT,
    ArgumentField,
    CheckField,
    ChoiceField,
    DateField,
    DecimalField,
    IntegerField,
    JsonField,
    LineField,
    ListField,
    MaskedField,
    MomentField,
    NumberField,
    ObjectField,
    Unfit,
)
from jobs.redaction import MASK

NO_WAY_BACK = "This value is not of the kind that the task wants."
FORMATS: dict[str, type[ArgumentField]] = {
    "date": DateField,
    "date-time": MomentField,
    "time": LineField,
    "duration": LineField,
    "uuid": LineField,
}
TYPES: dict[str, type[ArgumentField]] = {
    "string": ArgumentField,
    "integer": IntegerField,
    "number": NumberField,
    "array": ListField,
    "object": ObjectField,
}


def field_for(schema: Mapping[str, Any], *, required: bool, stored: Any = LEFT_OUT) -> ArgumentField:
    """The field of this schema (its references resolved); a value that it can't show is shown as JSON."""
    if stored == MASK:
        return MaskedField(field_for(schema, required=required))
    try:
        return _fitting(schema, required, stored)
    except Unfit:
        return JsonField({**schema, "description": NO_WAY_BACK}, required=required, stored=stored)


def resolved(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what it refers to in its place, one level deep: enough to tell its kind."""
    found = dict(schema)
    if "$ref" in found:
        found = {**shared.get(str(found.pop("$ref")).rpartition("/")[2], {}), **found}
    if "allOf" in found and len(found["allOf"]) == 1:
        found = {**resolved(found.pop("allOf")[0], shared), **found}
    if "anyOf" in found:
        found["anyOf"] = [resolved(option, shared) for option in found["anyOf"]]
    return found


def _fitting(schema: Mapping[str, Any], required: bool, stored: Any) -> ArgumentField:
    values = values_of(schema)
    if values is None or (schema.get("type") == "boolean" and required):
        return _kind(schema)(schema, required=required, stored=stored)
    return ChoiceField(schema, required=required, stored=stored, values=values)


def _kind(schema: Mapping[str, Any]) -> type[ArgumentField]:
    """By its type; of a type or null by that type (empty is left out). A Decimal is a number or a text."""
    if schema.get("type") == "boolean":
        return CheckField
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    types = [option.get("type") for option in options]
    if types == ["number", "string"]:
        return DecimalField
    if len(options) != 1 or types[0] not in TYPES:
        return JsonField
    return FORMATS.get(options[0].get("format", ""), TYPES[types[0]])


def values_of(schema: Mapping[str, Any]) -> list[Any] | None:
    """The values that it lists (Literal, Enum, a yes or no that may be left out), null where it may be; or None."""
    found: list[Any] = []
    for option in schema.get("anyOf", [schema]):
        if "enum" in option or "const" in option:
            found += option.get("enum", [option.get("const")])
        elif option.get("type") == "boolean":
            found += [True, False]
        elif option.get("type") == "null":
            found.append(None)
        else:
            return None
    return found
