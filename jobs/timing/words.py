"""When a schedule ticks, in people's words: `Weekdays every 15 min, 08:00 to 18:59, Paris`."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from jobs.timing.cron import Cron
from jobs.timing.cron_words import cron_words
from jobs.timing.every import Every
from jobs.timing.once import Once
from jobs.timing.plan import Timing
from jobs.timing.sun import Sun
from jobs.timing.zones import time_of_two

UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
#: Events whose names say too little, or too oddly.
SUN_WORDS = {
    f"{name}_{kind}": f"{kind} {name}" for name in ("dawn", "dusk") for kind in ("civil", "nautical", "astronomical")
}


def words(timing: Timing) -> str:
    """When it ticks, as one would say it, and in which zone."""
    match timing:
        case Cron():
            said = cron_words(timing)
            return f"{said[0].upper()}{said[1:]}, {zone_words(timing.zone)}"
        case Every():
            return f"Every {_span(timing.every)}"
        case Once():
            return f"Once on {_clock(timing.at, timing.zone)}, {zone_words(timing.zone)}"
        case Sun():
            return f"At {SUN_WORDS.get(timing.event, timing.event.replace('_', ' '))} ({_place(timing)})"
    raise TypeError(f"There are no words for {timing!r}.")


def mark(tick: datetime, timing: Timing) -> str:
    """What clocks do at a tick: `clocks go forward: 02:30 does not exist`, `clocks go back: first 01:30`; mostly ""."""
    missing = timing.missing_time(tick) if isinstance(timing, Cron) else None
    if missing:
        return f"clocks go forward: {missing:%H:%M} does not exist"
    which = time_of_two(tick, timing.zone)
    return f"clocks go back: {('first', 'second')[which - 1]} {tick.astimezone(timing.zone):%H:%M}" if which else ""


def zone_words(zone: ZoneInfo) -> str:
    """The last part of its name: `Paris`, `New York`, `UTC`."""
    return str(zone).rpartition("/")[2].replace("_", " ")


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d at %H:%M:%S}".removesuffix(":00")


def _span(every: timedelta) -> str:
    seconds = every.total_seconds()
    unit, length = next(((unit, length) for unit, length in UNITS if seconds % length == 0), ("second", 1))
    return unit if seconds == length else f"{seconds / length:g} {unit}s"


def _place(sun: Sun) -> str:
    north = "N" if sun.latitude >= 0 else "S"
    east = "E" if sun.longitude >= 0 else "W"
    return f"{abs(sun.latitude):g} {north}, {abs(sun.longitude):g} {east}"
