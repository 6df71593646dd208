"""The stored Celery message: kombu's own JSON, as text, so that whatever Celery accepts comes back the same."""

from typing import Any

from kombu.utils.json import dumps as _dumps
from kombu.utils.json import loads as _loads


def dumps(value: Any) -> str:
    """JSON text; dates, decimals, UUIDs in kombu's `__type__` form; NaN as `NaN`."""
    return str(_dumps(value))


def loads(text: str) -> Any:
    """What `dumps` was given."""
    return _loads(text)


def readable(body: str) -> bool:
    """Whether its arguments can be told (kombu writes some forms that it can't read); if not it can't be run either."""
    try:
        arguments(body)
    except Exception:  # noqa: BLE001  (whatever a stored form makes its reader say)
        return False
    return True


def arguments(body: str) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) of a stored body."""
    args, kwargs, _ = loads(body)
    return list(args), dict(kwargs)


def with_arguments(body: str, args: list[Any] | None, kwargs: dict[str, Any] | None) -> str:
    """The body with args, kwargs or both replaced whole; None keeps that part."""
    old_args, old_kwargs, embed = loads(body)
    return dumps([old_args if args is None else args, old_kwargs if kwargs is None else kwargs, embed])


def storable(text: str) -> str:
    """Text that every database keeps: PostgreSQL takes no NUL, none takes half a surrogate pair; an error has both."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
