"""A fault: its name, how it strikes and mends, and where it can be made."""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.drill.ground import Ground


@dataclass(frozen=True)
class Fault:
    """`strike` returns when all is mended, also when it is told to stop halfway; 0 if there was nothing to strike."""

    name: str
    strike: Callable[[Ground], object]
    possible: Callable[[Ground], bool] = lambda ground: True
