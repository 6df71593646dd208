"""A schedule is told in people's words, and the marks of its ticks say what clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from jobs.timing.cron import Cron
from jobs.timing.every import Every
from jobs.timing.once import Once
from jobs.timing.plan import Timing
from jobs.timing.sun import Sun
from jobs.timing.words import mark, words

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0,30 * * * *", "Every 30 minutes"),
        ("0 * * * *", "Every hour"),
        ("30 * * * *", "Every hour at :30"),
        ("5,35 * * * *", "Every hour at :05 and :35"),
        ("0 */2 * * *", "Every 2 hours"),
        ("30 */6 * * *", "Every 6 hours at :30"),
        ("0 3 * * *", "Every day at 03:00"),
        ("0 */12 * * *", "Every day at 00:00 and 12:00"),
        ("15 7,12,21 * * *", "Every day at 07:15, 12:15 and 21:15"),
        ("*/15 8-18 * * mon-fri", "Weekdays every 15 min, 08:00 to 18:59"),
        ("0 9-17 * * 1-5", "Weekdays every hour, 09:00 to 17:00"),
        ("* 3 * * *", "Every minute, 03:00 to 03:59"),
        ("0 9 * * mon", "Mondays at 09:00"),
        ("0 9 * * wed,sun,mon", "Mondays, Wednesdays and Sundays at 09:00"),
        ("0 10 * * sat,sun", "Weekends at 10:00"),
        ("0 0 * * 1-6", "Every day but Sunday at 00:00"),
        ("0 0 1,15 * *", "1st and 15th of the month at 00:00"),
        ("0 0 2,3,11,12,13,22 * *", "2nd, 3rd, 11th, 12th, 13th and 22nd of the month at 00:00"),
        ("0 0 1-7 * *", "1st to 7th of the month at 00:00"),
        ("0 0 */2 * *", "Every 2nd day from the 1st of the month at 00:00"),
        ("30 2 29 2 *", "On 29 February at 02:30"),
        ("0 0 1 */3 *", "1st of January, April, July and October at 00:00"),
        ("0 6 * jun-aug *", "Every day in June to August at 06:00"),
        ("0 6 * 6 mon", "Mondays in June at 06:00"),
        ("0 9 13 * fri", "On the 13th of the month if it is a Friday, at 09:00"),
        ("0 9 1-7 1 mon,tue", "On the 1st to 7th of January if it is a Monday or Tuesday, at 09:00"),
        ("0 8 1 * mon-fri", "On the 1st of the month if it is a weekday, at 08:00"),
        ("*/7 * * * *", "Every 7 minutes from :00 of every hour"),
    ],
)
def test_a_cron_line_is_told_as_people_say_it(line: str, said: str) -> None:
    assert words(Cron(*line.split(), zone=PARIS)) == f"{said}, Paris"


def test_a_cron_line_that_fits_no_pattern_is_still_told() -> None:
    said = words(Cron("5,35", "9-17", zone=PARIS))
    assert "5 and 35 minutes past the hour" in said
    assert said.endswith(", Paris")


def test_a_line_that_even_cron_descriptor_can_t_read_tells_itself() -> None:
    assert words(Cron("1-59/7", "1,5", "1,3,5,7,9,11,13", "*", "*/4")).endswith(", UTC")


def test_two_spellings_of_a_line_have_the_same_words() -> None:
    assert words(Cron("0,15,30,45", "8-18", "*", "*", "mon-fri")) == words(Cron("*/15", "8-18", "*", "*", "1,2,3,4,5"))


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        (Every(timedelta(seconds=1), datetime(2026, 1, 1, tzinfo=UTC)), "Every second"),
        (Every(timedelta(minutes=5), datetime(2026, 1, 1, tzinfo=UTC)), "Every 5 minutes"),
        (Every(timedelta(seconds=90), datetime(2026, 1, 1, tzinfo=UTC)), "Every 90 seconds"),
        (Every(timedelta(seconds=1.5), datetime(2026, 1, 1, tzinfo=UTC)), "Every 1.5 seconds"),
        (Every(timedelta(days=1), datetime(2026, 1, 1, tzinfo=UTC)), "Every day"),
        (Every(timedelta(hours=36), datetime(2026, 1, 1, tzinfo=UTC)), "Every 36 hours"),
        (Once(datetime(2027, 3, 28, 0, 30, tzinfo=UTC), PARIS), "Once on 2027-03-28 at 01:30, Paris"),
        (Once(datetime(2027, 1, 1, 0, 0, 7, tzinfo=UTC)), "Once on 2027-01-01 at 00:00:07, UTC"),
        (Sun("sunrise", 51.5, -0.1), "At sunrise (51.5 N, 0.1 W)"),
        (Sun("dusk_civil", -33.9, 151.2), "At civil dusk (33.9 S, 151.2 E)"),
        (Sun("solar_noon", 0, 0), "At solar noon (0 N, 0 E)"),
    ],
)
def test_the_other_timings_are_told_too(timing: Timing, said: str) -> None:
    assert words(timing) == said


def test_a_zone_is_told_by_its_last_part() -> None:
    assert words(Cron("0", "3", zone=ZoneInfo("America/Argentina/Buenos_Aires"))).endswith(", Buenos Aires")


def marks(timing: Timing, after: str, number: int) -> list[str]:
    found = islice(timing.after(datetime.fromisoformat(after).replace(tzinfo=UTC)), number)
    return [mark(tick, timing) for tick in found]


def test_a_tick_moved_by_a_gap_is_marked_with_the_time_that_does_not_exist() -> None:
    assert marks(Cron("30", "2", zone=PARIS), "2026-03-28 00:00", 3) == [
        "",
        "clocks go forward: 02:30 does not exist",
        "",
    ]


def test_a_tick_at_the_end_of_a_gap_that_nothing_moved_is_not_marked() -> None:
    assert marks(Cron("0", "3", zone=PARIS), "2026-03-28 12:00", 1) == [""]
    assert marks(Every(timedelta(hours=1), datetime(2026, 3, 28, tzinfo=UTC), PARIS), "2026-03-28 23:30", 4) == [""] * 4


def test_the_first_and_the_second_of_a_double_hour_are_told_apart() -> None:
    assert marks(Cron("30", "*", zone=PARIS), "2026-10-24 23:00", 4) == [
        "",
        "clocks go back: first 02:30",
        "clocks go back: second 02:30",
        "",
    ]
    assert marks(Cron("30", "2", zone=PARIS), "2026-10-24 12:00", 1) == ["clocks go back: first 02:30"]


def test_a_gap_of_half_an_hour_and_one_at_midnight_are_marked() -> None:
    assert marks(Cron("15", "2", zone=ZoneInfo("Australia/Lord_Howe")), "2026-10-03 12:00", 1) == [
        "clocks go forward: 02:15 does not exist"
    ]
    assert marks(Cron("0", "0", zone=ZoneInfo("America/Santiago")), "2026-09-05 12:00", 1) == [
        "clocks go forward: 00:00 does not exist"
    ]


def test_utc_has_no_marks() -> None:
    assert set(marks(Cron("30"), "2026-03-29 00:00", 24)) == {""}
