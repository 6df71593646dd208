"""Waiting for something to become true."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds; generous, because a busy machine is no defect.
PATIENCE = 30.0


def wait_for(look: Callable[[], T], timeout: float = PATIENCE, what: str = "", every: float = 0.05) -> T:
    """What `look` returns as soon as it is true; AssertionError that names `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout:g} s for {what or look}; last seen: {seen!r}")
        time.sleep(every)
    return seen
