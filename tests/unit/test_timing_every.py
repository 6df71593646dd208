"""An interval counts from its anchor and never drifts; a clocked schedule ticks once."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from jobs.timing.errors import BadTiming
from jobs.timing.every import Every
from jobs.timing.once import Once

ANCHOR = datetime(2026, 3, 28, 12, 0, 0, 250, tzinfo=UTC)
HOURLY = Every(timedelta(hours=1), ANCHOR)


def test_the_first_tick_is_one_interval_after_the_anchor() -> None:
    assert next(HOURLY.after(ANCHOR - timedelta(days=1))) == ANCHOR + timedelta(hours=1)


def test_counted_from_a_start_the_first_tick_is_the_start() -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    timing = HOURLY.counted_from(start)
    assert list(islice(timing.after(ANCHOR), 2)) == [start, start + timedelta(hours=1)]
    assert list(timing.before(start)) == [start]


def test_ticks_stay_on_the_anchor_however_late_they_are_asked_for() -> None:
    assert next(HOURLY.after(ANCHOR + timedelta(hours=7, minutes=59))) == ANCHOR + timedelta(hours=8)


def test_a_change_of_clocks_does_not_move_an_interval() -> None:
    timing = Every(timedelta(hours=12), ANCHOR.astimezone(ZoneInfo("Europe/Paris")), ZoneInfo("Europe/Paris"))
    first, second, third = islice(timing.after(ANCHOR), 3)
    assert second - first == third - second == timedelta(hours=12)


def test_a_year_of_seconds_is_counted_at_once() -> None:
    secondly = Every(timedelta(seconds=1), ANCHOR)
    assert secondly.count(ANCHOR, ANCHOR + timedelta(days=365)) == 365 * 86400
    assert secondly.count(ANCHOR - timedelta(days=9), ANCHOR) == 0


def test_before_goes_back_to_the_first_tick_and_no_further() -> None:
    assert list(HOURLY.before(ANCHOR + timedelta(hours=2, minutes=1))) == [
        ANCHOR + timedelta(hours=2),
        ANCHOR + timedelta(hours=1),
    ]


def test_less_than_a_second_is_refused() -> None:
    with pytest.raises(BadTiming, match="Write an interval of 1 second or more"):
        Every(timedelta(milliseconds=999), ANCHOR)


def test_an_interval_ends_with_time_and_without_an_error() -> None:
    yearly = Every(timedelta(days=365), ANCHOR)
    assert list(yearly.after(datetime(9999, 12, 20, tzinfo=UTC))) == []
    assert len(list(islice(yearly.after(datetime(9990, 1, 1, tzinfo=UTC)), 50))) < 50


def test_a_clocked_schedule_ticks_once() -> None:
    at = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
    timing = Once(at, ZoneInfo("Europe/Paris"))
    before = at.astimezone(UTC) - timedelta(microseconds=1)
    assert list(timing.after(before)) == list(timing.before(at)) == [at.astimezone(UTC)]
    assert list(timing.after(at)) == list(timing.before(before)) == []
    assert (timing.count(before, at), timing.count(at, at + timedelta(days=1))) == (1, 0)


def test_the_second_of_a_double_hour_is_later_than_the_first() -> None:
    paris = ZoneInfo("Europe/Paris")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=paris, fold=fold) for fold in (0, 1))
    assert list(Once(second, paris).after(first)) == [second.astimezone(UTC)]
    assert Once(second, paris).count(first, second) == 1
