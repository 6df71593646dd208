"""Many rows for one statement: on PostgreSQL an array a column, as its driver takes each parameter by itself."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db import connections, models

#: So few rows cost less as they are.
FEW = 8


def given(types: Mapping[str, str], rows: Sequence[Sequence[Any]], using: str) -> tuple[str, list[Any]]:
    """(SQL, params) of a table `given` for a FROM: one row or more of values as the driver takes them."""
    columns, values = ", ".join(types), [value for row in rows for value in row]
    if connections[using].vendor != "postgresql":
        marks = ", ".join([f"({', '.join(['%s'] * len(types))})"] * len(rows))
        return f"(WITH given ({columns}) AS (VALUES {marks}) SELECT * FROM given) AS given", values
    if len(rows) <= FEW:
        first = ", ".join(f"%s::{of}" for of in types.values())
        others = f", ({', '.join(['%s'] * len(types))})" * (len(rows) - 1)
        return f"(VALUES ({first}){others}) AS given ({columns})", values
    arrays = ", ".join(f"%s::{of}[]" for of in types.values())
    return f"unnest({arrays}) AS given ({columns})", [list(column) for column in zip(*rows, strict=True)]


@cache
def types_of(model: type[models.Model], names: tuple[str, ...], using: str) -> dict[str, str]:
    """The types of these columns; texts have no length here, as a cast would shorten what an INSERT refuses."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    return {name: str(fields[name].db_type(connections[using])).partition("(")[0] for name in names}
