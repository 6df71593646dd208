"""An edit is followed within the promised seconds, with the values that are shipped: nothing is at a tenth here."""

import json
import time
from collections.abc import Callable

import pytest

from tests.support.breaking import within
from tests.support.editing import WAYS, in_console, retime_in_console
from tests.support.scheduling import Wish, check_once_each, install, set_up, stands, ticked, ticks_of
from tests.support.station import Station

pytestmark = pytest.mark.databases("postgres")

#: How columns are edited, and how the interval is.
EDITS = {"console": (in_console, retime_in_console), **{way: edits[:2] for way, edits in WAYS.items()}}
#: Seconds, as promised: through the admin and the ORM, and by SQL. What a busy machine may add.
BOUNDS = {"console": 2.0, "save": 2.0, "update": 2.0, "sql": 10.0}
SLACK = 1.0


@pytest.fixture(scope="module")
def station_environment() -> dict[str, str]:
    return {"JOBS_TIME_SCALE": "1"}


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with a worker and a beat, as shipped."""
    set_up(station)
    station.worker("default", concurrency=1)
    station.beat()
    return station


@pytest.mark.parametrize("way", BOUNDS)
def test_an_edit_is_followed_within_its_bound(running: Station, way: str) -> None:
    """From a schedule far away to one that ticks each second, to other arguments, to none any more."""
    station, (edit, retime), name = running, EDITS[way], f"shipped, {way}"
    station.call(install, [Wish(name, every=3600)])
    stands(station, name)
    with within("edits", f"another interval by {way}, first tick s", BOUNDS[way] + 1 + SLACK):
        station.call(retime, name, 1)
        ticked(station, name)
    with within("edits", f"other arguments by {way}, s", BOUNDS[way] + 1 + SLACK):
        station.call(edit, name, args=json.dumps([f"other words, {way}"]))
        station.wait(lambda: f"other words, {way}" in station.journal())
    station.call(edit, name, enabled=False)
    time.sleep(BOUNDS[way])
    before = station.call(ticks_of, name)
    time.sleep(2.2)
    assert station.call(ticks_of, name) == before
    look: Callable[[], bool] = lambda: len(station.call(ticks_of, name)) > len(before)  # noqa: E731
    with within("edits", f"switched on by {way}, first tick s", BOUNDS[way] + 1 + SLACK):
        station.call(edit, name, enabled=True)
        station.wait(look)
    check_once_each(station, name)
