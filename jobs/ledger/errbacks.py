"""Errbacks that run user code inline: after the settle, never inside its transaction."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections


def aside(errbacks: Sequence[Callable[[], Any]]) -> None:
    """Call them in a thread of their own: no worker and no clock may stand still over the code of a user."""
    calls = list(errbacks)

    def call() -> None:
        try:
            for errback in calls:
                errback()
        finally:
            connections.close_all()

    if calls:
        threading.Thread(target=call, name="errbacks").start()
