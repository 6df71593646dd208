"""A crontab line ticks by the stated rule, on every day of every zone."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from jobs.timing.cron import Cron
from jobs.timing.errors import BadTiming
from jobs.timing.zones import zone_named

PARIS = "Europe/Paris"


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def ticks(line: str, zone: str, after: str, number: int = 3) -> list[str]:
    """The next ticks as the zone's clocks show them, with the offset."""
    timing = Cron(*line.split(), zone=ZoneInfo(zone))
    found = islice(timing.after(local(after, zone)), number)
    return [tick.astimezone(timing.zone).isoformat(" ", "minutes") for tick in found]


def on_day(line: str, zone: str, day: str) -> list[str]:
    """The clock times (with offset) at which it ticks on one day."""
    night_before = (datetime.fromisoformat(day) - timedelta(minutes=1)).isoformat()
    return [tick[11:] for tick in ticks(line, zone, night_before, 200) if tick.startswith(day)]


def test_a_tick_is_strictly_later_than_the_moment_asked_for() -> None:
    assert ticks("0 9 * * *", PARIS, "2026-01-05 09:00", 1) == ["2026-01-06 09:00+01:00"]
    assert ticks("0 9 * * *", PARIS, "2026-01-05 08:59:59.999999", 1) == ["2026-01-05 09:00+01:00"]


def test_ticks_are_told_in_utc() -> None:
    (tick,) = islice(Cron("0", "9", zone=ZoneInfo(PARIS)).after(local("2026-01-05 00:00", PARIS)), 1)
    assert (tick.tzinfo, tick.hour) == (UTC, 8)


def test_a_time_in_a_gap_ticks_when_the_gap_ends() -> None:
    assert ticks("30 2 * * *", PARIS, "2026-03-28 12:00", 2) == ["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]


def test_several_times_in_a_gap_tick_once() -> None:
    assert ticks("0,15,30,45 2,3 * * *", PARIS, "2026-03-29 00:00", 3) == [
        "2026-03-29 03:00+02:00",
        "2026-03-29 03:15+02:00",
        "2026-03-29 03:30+02:00",
    ]


def test_a_wildcard_hour_in_a_gap_ticks_once_when_the_gap_ends() -> None:
    assert ticks("30 * * * *", PARIS, "2026-03-29 01:00", 3) == [
        "2026-03-29 01:30+01:00",
        "2026-03-29 03:00+02:00",
        "2026-03-29 03:30+02:00",
    ]


def test_a_minutely_line_never_ticks_twice_at_a_gap() -> None:
    assert ticks("* * * * *", PARIS, "2026-03-29 01:58", 3) == [
        "2026-03-29 01:59+01:00",
        "2026-03-29 03:00+02:00",
        "2026-03-29 03:01+02:00",
    ]


def test_a_listed_hour_in_an_overlap_ticks_the_first_time_only() -> None:
    assert ticks("30 2 * * *", PARIS, "2026-10-24 12:00", 2) == ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]
    assert ticks("*/20 2 * * *", PARIS, "2026-10-25 00:00", 4)[-1] == "2026-10-26 02:00+01:00"


def test_a_range_of_all_hours_counts_as_listed() -> None:
    assert on_day("30 0-23 * * *", PARIS, "2026-10-25")[1:4] == ["01:30+02:00", "02:30+02:00", "03:30+01:00"]


def test_a_listed_hour_asked_for_between_both_times_has_passed() -> None:
    timing = Cron("30", "2", zone=ZoneInfo(PARIS))
    second = local("2026-10-25 02:10", PARIS, fold=1)
    assert next(timing.after(second)) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert next(timing.before(second)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_wildcard_hour_in_an_overlap_ticks_both_times() -> None:
    assert on_day("30 * * * *", PARIS, "2026-10-25")[1:5] == [
        "01:30+02:00",
        "02:30+02:00",
        "02:30+01:00",
        "03:30+01:00",
    ]
    assert on_day("30 */2 * * *", PARIS, "2026-10-25")[:4] == [
        "00:30+02:00",
        "02:30+02:00",
        "02:30+01:00",
        "04:30+01:00",
    ]


def test_lord_howe_moves_its_clocks_by_half_an_hour() -> None:
    howe = "Australia/Lord_Howe"
    assert on_day("15 2 * * *", howe, "2026-10-04") == ["02:30+11:00"]
    assert on_day("45 1 * * *", howe, "2026-04-05") == ["01:45+11:00"]
    assert on_day("45 * * * *", howe, "2026-04-05")[:4] == ["00:45+11:00", "01:45+11:00", "01:45+10:30", "02:45+10:30"]


def test_casablanca_turns_its_clocks_back_before_ramadan_and_forward_after_it() -> None:
    casablanca = "Africa/Casablanca"
    assert on_day("30 2 * * *", casablanca, "2026-02-15") == ["02:30+01:00"]
    assert on_day("30 * * * *", casablanca, "2026-02-15")[1:5] == [
        "01:30+01:00",
        "02:30+01:00",
        "02:30+00:00",
        "03:30+00:00",
    ]
    assert on_day("30 2 * * *", casablanca, "2026-03-22") == ["03:00+01:00"]


def test_the_southern_hemisphere_turns_its_clocks_back_in_april() -> None:
    assert on_day("30 2 * * *", "Pacific/Auckland", "2026-04-05") == ["02:30+13:00"]
    assert on_day("30 2 * * *", "Pacific/Auckland", "2026-09-27") == ["03:00+13:00"]


def test_a_gap_at_midnight_ticks_at_one() -> None:
    assert on_day("0 0 * * *", "America/Santiago", "2026-09-06") == ["01:00-03:00"]
    assert ticks("30 0 6 9 *", "America/Santiago", "2026-01-01 00:00", 1) == ["2026-09-06 01:00-03:00"]


def test_an_hour_repeated_before_midnight_belongs_to_its_day() -> None:
    assert on_day("30 23 * * *", "America/Santiago", "2026-04-04") == ["23:30-03:00"]
    assert on_day("30 * * * *", "America/Santiago", "2026-04-04")[-2:] == ["23:30-03:00", "23:30-04:00"]


def test_days_that_overlap_tick_in_order_of_time() -> None:
    # At 00:01 of 7 November 2010 clocks in St John's went back to 23:01 of the day before.
    timing = Cron("0,30", zone=ZoneInfo("America/St_Johns"))
    found = list(islice(timing.after(local("2010-11-06 22:45", "America/St_Johns")), 5))
    assert [f"{tick.astimezone(timing.zone):%d %H:%M}" for tick in found] == [
        "06 23:00", "06 23:30", "07 00:00", "06 23:30", "07 00:00",
    ]  # fmt: skip
    assert found == sorted(found)
    assert list(islice(timing.before(found[-1]), 5)) == found[::-1]


def test_a_day_that_a_country_skips_ticks_when_the_next_begins() -> None:
    assert ticks("0 12 * * *", "Pacific/Apia", "2011-12-29 13:00", 2) == [
        "2011-12-31 00:00+14:00",
        "2011-12-31 12:00+14:00",
    ]


def test_a_line_for_the_31st_waits_for_the_months_that_have_it() -> None:
    assert ticks("0 0 31 * *", "UTC", "2026-01-31 00:00") == [
        "2026-03-31 00:00+00:00",
        "2026-05-31 00:00+00:00",
        "2026-07-31 00:00+00:00",
    ]


def test_29_february_comes_in_leap_years() -> None:
    assert ticks("0 0 29 2 *", "UTC", "2026-01-01 00:00", 2) == ["2028-02-29 00:00+00:00", "2032-02-29 00:00+00:00"]


def test_29_february_on_a_monday_may_be_far_away() -> None:
    assert ticks("0 0 29 2 mon", "UTC", "2072-03-01 00:00", 1) == ["2112-02-29 00:00+00:00"]


def test_day_of_month_and_day_of_week_must_both_hold() -> None:
    assert ticks("0 9 13 * fri", PARIS, "2026-01-01 00:00") == [
        "2026-02-13 09:00+01:00",
        "2026-03-13 09:00+01:00",
        "2026-11-13 09:00+01:00",
    ]


@pytest.mark.parametrize("line", ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"])
def test_a_day_that_never_comes_is_refused(line: str) -> None:
    with pytest.raises(BadTiming, match="never comes in month") as refused:
        Cron(*line.split())
    assert refused.value.field == "day_of_month"


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("60 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("1, * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day_of_month"),
        ("* * * 13 *", "month_of_year"),
        ("* * * * 7", "day_of_week"),
        ("* * * * someday", "day_of_week"),
        ("-5 * * * *", "minute"),
    ],
)
def test_what_can_t_be_read_is_refused_with_what_to_write_instead(line: str, field: str) -> None:
    with pytest.raises(BadTiming, match="can't be read") as refused:
        Cron(*line.split())
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["Europe/Pariss", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(BadTiming, match="is not a time zone"):
        zone_named(name)


def test_an_empty_field_is_refused() -> None:
    with pytest.raises(BadTiming, match="Minute ''"):
        Cron(minute="")


def test_backwards_comes_the_same_in_reverse() -> None:
    timing = Cron("*/7", "1-3", zone=ZoneInfo(PARIS))
    since, until = local("2026-03-27 00:00", PARIS), local("2026-03-31 00:00", PARIS)
    forward = [tick for tick in islice(timing.after(since), 500) if tick <= until]
    backward = [tick for tick in islice(timing.before(until), 500) if tick > since]
    assert forward == backward[::-1]
    assert timing.count(since, until) == len(forward)


def test_a_minutely_line_is_counted_over_ten_years_without_drawing_each() -> None:
    since, until = datetime(2024, 1, 1, tzinfo=UTC), datetime(2034, 1, 1, tzinfo=UTC)
    assert Cron().count(since, until) == (until - since) // timedelta(minutes=1)
    # In a zone, each spring gap takes no minute away: they follow elapsed time.
    assert Cron(zone=ZoneInfo(PARIS)).count(since, until) == (until - since) // timedelta(minutes=1)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/New_York"])
def test_time_ends_without_an_error(zone: str) -> None:
    timing = Cron("0", "0", zone=ZoneInfo(zone))
    for moment in (datetime.max.replace(tzinfo=UTC), datetime(9998, 12, 30, tzinfo=UTC)):
        assert len(list(islice(timing.after(moment), 9))) < 9
        assert next(timing.before(moment)) <= moment
    for moment in (datetime.min.replace(tzinfo=UTC), datetime(2, 1, 3, tzinfo=UTC)):
        assert len(list(islice(timing.before(moment), 9))) < 9
        assert next(timing.after(moment)) > moment
