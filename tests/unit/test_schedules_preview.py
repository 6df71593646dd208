"""The ticks of a schedule as a person reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)

from jobs.errors import JobError
from jobs.models import SchedulePolicy, ScheduleStanding
from jobs.policies import Missed
from jobs.schedules.preview import next_ticks, note, runs, shown_ticks, simulate, words, zone_of
from jobs.schedules.reading import fingerprint
from jobs.timing.plan import Outage
from tests.support.schedules import kept_past_every_guard


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


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- the next ones ---


def test_a_cron_line_ticks_at_its_times_only() -> None:
    assert ticks(cron("0 9-17 * * 1-5"), "2026-11-20T16:30:00+00:00") == [
        "2026-11-20T17:00:00+00:00",
        "2026-11-23T09:00:00+00:00",
        "2026-11-23T10:00:00+00:00",
    ]


def test_a_tick_at_that_very_moment_is_not_next() -> None:
    assert ticks(cron("0 9 * * *"), "2026-11-20T09:00:00+00:00", 1) == ["2026-11-21T09:00:00+00:00"]


def test_ticks_are_told_in_the_zone_of_the_schedule() -> None:
    row = cron("0 8 * * *", "Europe/Paris")
    assert ticks(row, "2026-07-01T00:00:00+00:00", 1) == ["2026-07-01T08:00:00+02:00"]
    assert str(zone_of(row)) == "Europe/Paris"


def test_a_time_that_spring_skips_ticks_right_after_the_gap_and_is_marked() -> None:
    row = cron("30 2 * * *", "Europe/Paris")
    assert ticks(row, "2027-03-27T12:00:00+00:00", 2) == ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]
    first, second = shown_ticks(row, 2, moment("2027-03-27T12:00:00+00:00"))
    assert ("02:30" in first.mark, second.mark) == (True, "")


def test_a_listed_time_that_autumn_has_twice_ticks_once() -> None:
    assert ticks(cron("30 2 * * *", "Europe/Paris"), "2026-10-24T12:00:00+00:00", 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_a_wildcard_hour_ticks_in_both_hours_and_both_are_marked() -> None:
    shown = shown_ticks(cron("30 * * * *", "Europe/Paris"), 3, moment("2026-10-25T00:00:00+00:00"))
    assert [tick.at.isoformat() for tick in shown] == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:30:00+01:00",
    ]
    assert [bool(tick.mark) for tick in shown] == [True, True, False]


def test_a_rare_day_is_found() -> None:
    assert ticks(cron("0 0 29 2 *"), "2026-01-01T00:00:00+00:00", 1) == ["2028-02-29T00:00:00+00:00"]


def test_a_day_that_never_comes_has_no_ticks_and_says_so() -> None:
    row = cron("0 0 31 2 *")
    assert ticks(row, "2026-01-01T00:00:00+00:00") == []
    assert "31" in words(row)
    with pytest.raises(JobError):
        simulate(row, timezone.now())


def test_a_clocked_schedule_ticks_once_and_only_before_its_time() -> None:
    soon = timezone.now() + timedelta(hours=1)
    row = PeriodicTask(clocked=ClockedSchedule(clocked_time=soon), one_off=True)
    assert next_ticks(row) == [soon]
    assert next_ticks(row, after=soon) == []


def test_a_schedule_that_is_off_does_not_tick() -> None:
    assert next_ticks(cron("* * * * *", enabled=False)) == []
    assert next_ticks(cron("* * * * *", one_off=True, total_run_count=1)) == []


def test_a_one_off_schedule_ticks_once() -> None:
    assert len(next_ticks(cron("* * * * *", one_off=True))) == 1


def test_ticks_lie_between_start_and_expiry() -> None:
    start, end = datetime(2030, 1, 1, 0, 0, tzinfo=UTC), datetime(2030, 1, 1, 0, 1, tzinfo=UTC)
    row = cron("* * * * *", start_time=start, expires=end)
    assert ticks(row, "2026-01-01T00:00:00+00:00", 9) == ["2030-01-01T00:00:00+00:00", "2030-01-01T00:01:00+00:00"]


def test_ticks_end_where_the_calendar_ends() -> None:
    row = PeriodicTask(interval=IntervalSchedule(every=3_000 * 365, period="days"))
    assert len(ticks(row, "2026-11-20T16:30:00+00:00", 10)) == 2


# --- what an interval counts from ---


def test_an_interval_that_beat_has_not_read_counts_from_its_last_run() -> None:
    last = datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
    row = PeriodicTask(interval=IntervalSchedule(every=5, period="minutes"), last_run_at=last)
    assert ticks(row, "2026-01-01T00:12:00+00:00", 2) == ["2026-01-01T00:15:00+00:00", "2026-01-01T00:20:00+00:00"]


def standing(row: PeriodicTask, timing: str) -> None:
    anchor = datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
    made = ScheduleStanding.objects.create(
        schedule=row, name=row.name, timing=timing, anchor=anchor, position=anchor, armed_at=anchor
    )
    row.standing = made


@pytest.fixture
def every(db: None) -> PeriodicTask:
    row = PeriodicTask(name="mine", task="check_health", interval=IntervalSchedule(every=5, period="minutes"))
    return kept_past_every_guard(row)


def test_an_interval_counts_from_where_beat_counts(every: PeriodicTask) -> None:
    standing(every, fingerprint(every))
    assert ticks(every, "2026-01-01T00:12:00+00:00", 1) == ["2026-01-01T00:15:07+00:00"]


def test_an_interval_that_is_being_edited_counts_from_now(every: PeriodicTask) -> None:
    standing(every, fingerprint(every))
    every.interval = IntervalSchedule(every=7, period="minutes")
    [first] = next_ticks(every, 1)
    assert abs(first - timezone.now() - timedelta(minutes=7)) < timedelta(seconds=30)


# --- words ---


def test_the_words_name_days_times_and_zone() -> None:
    said = words(cron("0 9-17 * * 1-5", "Europe/Paris"))
    for part in ("eekdays", "09:00", "17:00", "Paris"):
        assert part in said


def test_whoever_names_both_days_is_told_that_both_must_fit() -> None:
    assert "both" in note(cron("0 0 13 * 5"))
    assert [note(cron(line)) for line in ("0 0 13 * *", "0 0 * * 5")] == ["", ""]
    assert note(PeriodicTask(interval=IntervalSchedule(every=5, period="minutes"))) == ""


def test_a_row_without_timing_says_so_instead_of_words() -> None:
    assert "no timing" in words(PeriodicTask(name="none"))
    assert next_ticks(PeriodicTask(name="none")) == []


# --- the simulator ---

NIGHT = Outage(moment("2026-11-21T02:00:00+00:00"), moment("2026-11-21T06:00:00+00:00"))


def simulated(row: PeriodicTask, **policy: Any) -> list[tuple[str, str, int]]:
    row.policy = SchedulePolicy(**policy)
    found = simulate(row, moment("2026-11-21T00:00:00+00:00"), moment("2026-11-21T08:00:00+00:00"), [NIGHT])
    return [(f"{s.at:%H:%M}", "runs" if runs(s) else str(s.tick.why), s.tick.count) for s in found]


def test_an_outage_is_played_through_for_each_policy() -> None:
    # max_lateness in seconds, not in those of the tests' clock
    row = cron("0 * * * *")
    around = [("00:00", "runs", 1), ("01:00", "runs", 1)], [("07:00", "runs", 1), ("08:00", "runs", 1)]
    played = {
        Missed.ONCE: [("05:00", "replaced", 4), ("06:00", "runs", 1)],
        Missed.SKIP: [("05:00", "missed", 4), ("06:00", "runs", 1)],
        Missed.ALL: [("02:00", "runs", 1), ("03:00", "runs", 1), ("04:00", "runs", 1), ("05:00", "runs", 1),
                     ("06:00", "runs", 1)],
    }  # fmt: skip
    for missed, between in played.items():
        assert simulated(row, missed=missed, max_lateness=30 if missed == Missed.SKIP else None) == [
            *around[0], *between, *around[1]
        ]  # fmt: skip


def test_a_maximum_lateness_lets_the_rest_be_skipped_as_late() -> None:
    played = simulated(cron("30 * * * *"), missed=Missed.ALL, max_lateness=3600)
    assert ("04:30", "late", 3) in played
    assert ("05:30", "runs", 1) in played


def test_a_disabled_schedule_can_be_simulated_too() -> None:
    assert len(simulated(cron("0 * * * *", enabled=False))) == 6
