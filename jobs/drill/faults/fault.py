"""A fault: its name, how it strikes and mends, and where it can be made."""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.drill.ground import Ground


@dataclass(frozen=True)
class Fault:
    """`strike` returns when everything is mended, also when it is told to stop halfway."""

    name: str
    strike: Callable[[Ground], object]
    possible: Callable[[Ground], bool] = lambda ground: True
