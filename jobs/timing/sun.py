"""When a solar schedule ticks: sunrise, noon, dusk and the like at a place.

A day on which the sun does not come to the event has no tick: the next day that has it is the next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import ephem  # type: ignore[import-untyped]

from jobs.timing.errors import BadTiming
from jobs.timing.zones import DAY, UTC_ZONE

#: So many days in a row without the event, and it never comes: the longest polar night is half a year.
LONGEST_WAIT = 366
#: Days that ephem counts; beyond, its Julian dates don't fit Python's.
FIRST_DAY, LAST_DAY = date(2, 1, 1), date(MAXYEAR - 1, 12, 31)
HALF_A_TURN = timedelta(hours=13)


class Crossing(NamedTuple):
    """How the sun makes an event: through a height (degrees and minutes), up or down."""

    horizon: str
    rises: bool
    #: The sun's centre counts, not its upper edge.
    by_centre: bool


#: Celery's events and its horizons; solar noon crosses no height.
CROSSINGS = {
    "dawn_astronomical": Crossing("-18", rises=True, by_centre=True),
    "dawn_nautical": Crossing("-12", rises=True, by_centre=True),
    "dawn_civil": Crossing("-6", rises=True, by_centre=True),
    "sunrise": Crossing("-0:34", rises=True, by_centre=False),
    "sunset": Crossing("-0:34", rises=False, by_centre=False),
    "dusk_civil": Crossing("-6", rises=False, by_centre=True),
    "dusk_nautical": Crossing("-12", rises=False, by_centre=True),
    "dusk_astronomical": Crossing("-18", rises=False, by_centre=True),
}
SOLAR_NOON = "solar_noon"
EVENTS = (*CROSSINGS, SOLAR_NOON)


@dataclass(frozen=True)
class Sun:
    """Ticks of a solar event, to the second. Degrees, north and east positive. Raises `BadTiming`."""

    event: str
    latitude: float
    longitude: float
    zone: ZoneInfo = UTC_ZONE

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise BadTiming("event", self.event, "is no event of the sun", f"Write one of {', '.join(EVENTS)}.")
        for field, value, most in (("latitude", self.latitude, 90), ("longitude", self.longitude, 180)):
            if not -most <= value <= most:
                raise BadTiming(field, value, "is no place", f"Write degrees from -{most} to {most}.")

    def after(self, moment: datetime) -> Iterator[datetime]:
        return (tick for tick in self._ticks(moment, 1) if tick > moment)

    def before(self, moment: datetime) -> Iterator[datetime]:
        return (tick for tick in self._ticks(moment, -1) if tick <= moment)

    def count(self, after: datetime, until: datetime) -> int:
        return sum(1 for _ in takewhile(lambda tick: tick <= until, self.after(after)))

    def _ticks(self, moment: datetime, step: int) -> Iterator[datetime]:
        """Each day's event from about `moment` on, until none comes for a year."""
        # A day here is the sun's, from midnight to midnight at the place: up to a day away from the one in UTC.
        day, waited = moment.astimezone(UTC).date(), -2
        day = min(max(day, FIRST_DAY + 2 * DAY), LAST_DAY - 2 * DAY) - 2 * step * DAY
        while FIRST_DAY <= day <= LAST_DAY and waited < LONGEST_WAIT:
            tick = event_of(day, self.event, self.latitude, self.longitude)
            if tick is None:
                waited += 1
            else:
                waited = 0
                yield tick
            day += step * DAY


@lru_cache(maxsize=16384)
def event_of(day: date, event: str, latitude: float, longitude: float) -> datetime | None:
    """The event of the sun's day around its noon on `day`, in UTC to the second; None when it does not come to it.

    The same whatever is asked before: a search from another moment would end some microseconds beside.
    """
    place = _place(latitude, longitude)
    mean_noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - timedelta(hours=float(longitude) / 15)
    noon = place.next_transit(ephem.Sun(), start=_told(mean_noon - timedelta(hours=1)))
    if event == SOLAR_NOON:
        return _read(noon)
    return _crossing(place, noon, CROSSINGS[event])


def _crossing(place: Any, noon: Any, crossing: Crossing) -> datetime | None:
    """When the sun rises or sets through a height on the half turn before or after this noon."""
    place.horizon = crossing.horizon
    search = place.previous_rising if crossing.rises else place.next_setting
    try:
        tick = _read(search(ephem.Sun(), start=noon, use_center=crossing.by_centre))
    except ephem.CircumpolarError:
        return None
    return tick if abs(tick - _read(noon)) <= HALF_A_TURN else None


def _place(latitude: float, longitude: float) -> Any:
    place = ephem.Observer()
    place.lat, place.lon, place.elev, place.pressure = str(latitude), str(longitude), 0, 0
    return place


def _told(moment: datetime) -> Any:
    return ephem.Date(moment.astimezone(UTC).replace(tzinfo=None))


def _read(date: Any) -> datetime:
    tick: datetime = date.datetime()
    return (tick + timedelta(milliseconds=500)).replace(microsecond=0, tzinfo=UTC)
