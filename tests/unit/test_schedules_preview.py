"""The next ticks of a schedule, as a person reads them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)

from jobs.schedules.preview import next_ticks, words


def cron(line: str, zone: str = "UTC", **columns: object) -> PeriodicTask:
    minute, hour, day, month, weekday = line.split()
    return PeriodicTask(
        crontab=CrontabSchedule(
            minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday, timezone=zone
        ),
        **columns,
    )


def ticks(row: PeriodicTask, after: str, number: int = 3) -> list[str]:
    return [tick.isoformat() for tick in next_ticks(row, number, datetime.fromisoformat(after))]


def test_a_cron_line_ticks_at_its_times_only() -> None:
    assert ticks(cron("0 9-17 * * 1-5"), "2026-11-20T16:30:00+00:00") == [
        "2026-11-20T17:00:00+00:00",
        "2026-11-23T09:00:00+00:00",
        "2026-11-23T10:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 9-17 * * *", "Every hour between 09:00 AM and 05:00 PM (UTC)"),
        ("0 9-12,14-17 * * *", "Every hour at 09:00 AM through 12:00 PM and 02:00 PM through 05:00 PM (UTC)"),
        ("0 9-17/2 * * *", "Every 2 hours, between 09:00 AM and 05:00 PM (UTC)"),
        ("30 9-17 * * *", "At 30 minutes past the hour, between 09:00 AM and 05:59 PM (UTC)"),
        ("0 2 * * *", "At 02:00 AM (UTC)"),
        ("0 * * * *", "Every hour (UTC)"),
    ],
)
def test_the_words_of_a_cron_line_tell_its_minute(line: str, said: str) -> None:
    assert words(cron(line)) == said


def test_the_words_name_the_days_and_the_zone() -> None:
    said = words(cron("0 9-17 * * 1-5", "Europe/Paris"))
    assert said.startswith("Every hour between 09:00 AM and 05:00 PM, ")
    assert "Monday" in said
    assert said.endswith("Friday (Europe/Paris)")


def test_sunday_is_day_0_of_the_week() -> None:
    assert ticks(cron("0 0 * * 0"), "2026-11-23T00:00:00+00:00", 1) == ["2026-11-29T00:00:00+00:00"]


def test_ticks_are_told_in_the_zone_of_the_schedule() -> None:
    assert ticks(cron("0 8 * * *", "Europe/Paris"), "2026-07-01T00:00:00+00:00", 1) == ["2026-07-01T08:00:00+02:00"]


def test_a_time_that_spring_skips_ticks_after_the_gap() -> None:
    assert ticks(cron("30 2 * * *", "Europe/Paris"), "2027-03-27T12:00:00+00:00", 2) == [
        "2027-03-28T03:30:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ]


def test_a_time_that_autumn_has_twice_ticks_once() -> None:
    assert ticks(cron("30 2 * * *", "Europe/Paris"), "2026-10-24T12:00:00+00:00", 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_a_rare_day_is_found() -> None:
    assert ticks(cron("0 0 29 2 *"), "2026-01-01T00:00:00+00:00", 1) == ["2028-02-29T00:00:00+00:00"]


def test_a_day_that_never_comes_has_no_ticks() -> None:
    assert ticks(cron("0 0 31 2 *"), "2026-01-01T00:00:00+00:00") == []


def test_an_interval_counts_from_its_last_run() -> None:
    last = datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
    row = PeriodicTask(interval=IntervalSchedule(every=5, period="minutes"), last_run_at=last)
    assert ticks(row, "2026-01-01T00:12:00+00:00", 2) == ["2026-01-01T00:15:00+00:00", "2026-01-01T00:20:00+00:00"]


def test_a_clocked_schedule_ticks_once_and_only_before_its_time() -> None:
    soon = timezone.now() + timedelta(hours=1)
    row = PeriodicTask(clocked=ClockedSchedule(clocked_time=soon), one_off=True)
    assert next_ticks(row) == [soon]
    assert next_ticks(row, after=soon) == []


def test_a_schedule_that_is_off_does_not_tick() -> None:
    assert next_ticks(cron("* * * * *", enabled=False)) == []
    assert next_ticks(cron("* * * * *", one_off=True, total_run_count=1)) == []


def test_ticks_lie_between_start_and_expiry() -> None:
    start, end = datetime(2030, 1, 1, 0, 0, tzinfo=UTC), datetime(2030, 1, 1, 0, 1, tzinfo=UTC)
    row = cron("* * * * *", start_time=start, expires=end)
    assert ticks(row, "2026-01-01T00:00:00+00:00", 9) == ["2030-01-01T00:00:00+00:00", "2030-01-01T00:01:00+00:00"]


def test_ticks_end_where_the_calendar_ends() -> None:
    row = PeriodicTask(interval=IntervalSchedule(every=3_000 * 365, period="days"))
    assert len(ticks(row, "2026-11-20T16:30:00+00:00", 10)) == 2
