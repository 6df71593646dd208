"""A solar schedule ticks when the sun comes to its event, and waits for the next day that has it."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from celery.schedules import solar

from jobs.timing.errors import BadTiming
from jobs.timing.sun import EVENTS, Sun

PLACES = [(51.5, -0.1), (-33.9, 151.2), (1.35, 103.8), (40.7, -74.0), (-17.7, 178.0), (21.3, -157.9)]
LONGYEARBYEN = (78.2, 15.6)


def celery_next(event: str, latitude: float, longitude: float, after: datetime) -> datetime:
    """When Celery's own solar schedule would be due next."""
    timing = solar(event, latitude, longitude, nowfun=lambda: after)
    return after + timing.remaining_estimate(after)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("place", PLACES)
def test_the_next_tick_is_celery_s_own_within_a_second(event: str, place: tuple[float, float]) -> None:
    for after in (datetime(2026, 3, 1, 5, 43, 10, tzinfo=UTC) + timedelta(days=37.3 * step) for step in range(5)):
        found = next(Sun(event, *place).after(after))
        assert abs(found - celery_next(event, *place, after)) < timedelta(seconds=1.5)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("place", [*PLACES, LONGYEARBYEN, (66.0, 25.0), (-89.0, 0.0)])
def test_a_tick_is_the_same_from_wherever_it_is_asked_for(event: str, place: tuple[float, float]) -> None:
    timing = Sun(event, *place)
    found = list(islice(timing.after(datetime(2026, 1, 1, tzinfo=UTC)), 12))
    assert all(earlier < later for earlier, later in pairwise(found))
    for earlier, later in pairwise(found):
        assert next(timing.after(earlier)) == next(timing.after(later - timedelta(microseconds=1))) == later
        assert next(timing.before(later)) == later
        assert next(timing.before(later - timedelta(microseconds=1))) == earlier
    assert timing.count(found[0], found[-1]) == len(found) - 1


def test_between_midnight_sun_and_polar_night_the_sun_waits() -> None:
    timing = Sun("sunrise", *LONGYEARBYEN)
    spring = datetime(2026, 4, 20, tzinfo=UTC)
    assert next(timing.after(spring)).strftime("%Y-%m") == "2026-08"
    assert next(timing.after(datetime(2026, 11, 5, tzinfo=UTC))).strftime("%Y-%m") == "2027-02"
    assert next(timing.before(datetime(2026, 7, 1, tzinfo=UTC))).strftime("%Y-%m") == "2026-04"


def test_a_sun_that_never_sinks_so_deep_never_ticks() -> None:
    # At the equator it does every day; at the pole no rising is a rising of a day.
    assert list(islice(Sun("sunset", 0, 0).after(datetime(2026, 1, 1, tzinfo=UTC)), 3))
    assert len(list(islice(Sun("sunrise", 90, 0).after(datetime(2026, 1, 1, tzinfo=UTC)), 5))) < 5


@pytest.mark.parametrize(
    ("event", "latitude", "longitude", "field"),
    [("moonrise", 0, 0, "event"), ("sunset", 90.1, 0, "latitude"), ("sunset", 0, -181, "longitude")],
)
def test_what_is_no_event_or_no_place_is_refused(event: str, latitude: float, longitude: float, field: str) -> None:
    with pytest.raises(BadTiming) as refused:
        Sun(event, latitude, longitude)
    assert refused.value.field == field


def test_the_sun_ends_with_time_and_without_an_error() -> None:
    timing = Sun("sunset", 10, 170)
    assert list(timing.after(datetime.max.replace(tzinfo=UTC))) == []
    assert len(list(islice(timing.after(datetime(9998, 12, 28, tzinfo=UTC)), 9))) < 9
    assert list(timing.before(datetime.min.replace(tzinfo=UTC))) == []
