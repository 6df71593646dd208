"""Processes of one station that differ in their environment."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.station import Station

#: Settings modules of processes that tests start.
BRIEF = "tests.support.brief_settings"
CANCELLING = "tests.support.cancelling_settings"
HURRIED = "tests.support.hurried_settings"
RETRYING = "tests.support.retrying_settings"
SMALL_SPOOL = "tests.support.small_spool_settings"
UNTRACKED = "tests.support.untracked_settings"


@contextmanager
def variables(station: Station, **more: str) -> Iterator[None]:
    """What is started inside has these variables too."""
    before = dict(station.env)
    station.env.update(more)
    try:
        yield
    finally:
        station.env.clear()
        station.env.update(before)
