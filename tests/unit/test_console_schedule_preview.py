"""What the form says while it is typed: words, next ticks in two zones, errors by field, what an outage would do."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from django.test import Client
from django.urls import reverse

from jobs.console.schedules import foretelling
from jobs.console.schedules.foretelling import Foretold, OutageForm, foretell
from jobs.console.schedules.form import ScheduleForm
from jobs.models import ScheduleStanding
from jobs.schedules.reading import fingerprint
from tests.support.people import browser
from tests.support.schedule_forms import PAGE, QUARTERS, every_five_minutes, previewed, said

pytestmark = pytest.mark.django_db
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def admin() -> Client:
    return browser("admin")


def foretold(now: str = "2026-11-23T20:00:00+00:00", **typed: Any) -> Foretold:
    """What would be shown at this moment."""
    form = ScheduleForm(said(**typed))
    return foretell(form, OutageForm(said(**typed)), datetime.fromisoformat(now))


def ticks(html: str) -> list[datetime]:
    return [datetime.fromisoformat(at) for at in re.findall(r'<time datetime="([^"]+)"', html)]


def errors(html: str) -> dict[str, str]:
    return dict(re.findall(r'<li data-for="([^"]*)">(.*?)</li>', html))


def test_the_words_and_the_next_five_ticks_equal_an_independent_calculation(admin: Client) -> None:
    html = previewed(admin, **QUARTERS)
    clock = CronSim("*/15 8-18 * * 1-5", datetime.now(PARIS))
    assert "Weekdays every 15 min, 08:00 to 18:59, Paris" in html
    assert ticks(html) == [next(clock).astimezone(UTC) for _ in range(5)]


def test_ticks_are_told_in_the_schedules_zone_and_in_the_viewers() -> None:
    [first, *_] = foretold(**QUARTERS, viewer_zone="America/New_York").lines
    assert (first.own, first.viewer) == ("Tue 24 Nov, 08:00 CET", "Tue 24 Nov, 02:00 EST")
    assert foretold(**QUARTERS, viewer_zone="Mars/Olympus").viewer_zone == ""


def test_a_gap_and_an_overlap_are_marked() -> None:
    line = {"kind": "crontab", "minute": "30", "hour": "2", "zone": "Europe/Paris"}
    spring = foretold("2027-03-27T12:00:00+00:00", **line).lines[0]
    assert spring.at == datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert spring.own == "Sun 28 Mar 2027, 03:00 CEST"
    assert "02:30 does not exist" in spring.mark
    autumn = foretold("2027-10-30T12:00:00+00:00", **line).lines[0]
    assert autumn.own == "Sun 31 Oct 2027, 02:30 CEST"
    assert "clocks go back" in autumn.mark
    assert foretold(**line).lines[0].mark == ""


def test_days_of_the_month_and_of_the_week_are_said_to_be_both_wanted() -> None:
    both = foretold(kind="crontab", minute="0", hour="9", day_of_month="13", day_of_week="fri")
    assert "must both fit" in both.note
    assert all(line.at.weekday() == 4 and line.at.day == 13 for line in both.lines)
    assert foretold(**QUARTERS).note == ""


def test_errors_are_named_by_field_and_the_rest_is_still_told(admin: Client) -> None:
    html = previewed(admin, name="", task="send_email", **QUARTERS)
    assert errors(html)["id_name"] == "This field is required."
    assert set(errors(html)) >= {"id_arguments-to", "id_arguments-subject", "id_arguments-body"}
    assert len(ticks(html)) == 5
    html = previewed(admin, kind="crontab", minute="*/0")
    assert "id_minute" in errors(html)
    assert ticks(html) == []


def test_markup_in_what_is_typed_comes_back_as_text(admin: Client) -> None:
    evil = "<img src=x onerror=alert(1)>"
    for field in ("name", "minute", "zone", "task", "headers", "viewer_zone", "outage_from"):
        assert "<img" not in previewed(admin, **{"kind": "crontab", field: evil})


def test_a_time_that_has_passed_says_what_becomes_of_it() -> None:
    once = {"kind": "clocked", "once_at": "2026-11-23T19:00"}
    assert "run at once" in foretold(**once).empty
    assert "be skipped" in foretold(**once, missed="skip").empty
    assert len(foretold(**{**once, "once_at": "2026-11-23T21:00"}).lines) == 1


def test_an_end_before_the_next_tick_says_that_none_comes() -> None:
    assert "No tick will come" in foretold(**QUARTERS, expires="2026-11-24T07:59").empty
    assert len(foretold(**QUARTERS, expires="2026-11-24T08:15").lines) == 2


def test_an_interval_goes_on_from_its_anchor_until_it_is_changed() -> None:
    row = every_five_minutes()
    anchor = datetime(2026, 11, 23, 19, 58, 30, tzinfo=UTC)
    ScheduleStanding.objects.create(
        schedule=row, name=row.name, timing=fingerprint(row), anchor=anchor, position=anchor
    )
    now = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)

    def first(**typed: Any) -> datetime:
        form = ScheduleForm(said(**typed), row)
        return foretell(form, OutageForm({}), now).lines[0].at

    assert first() == anchor + timedelta(minutes=5)
    assert first(every="7") != anchor + timedelta(minutes=7)


# --- the simulator ----------------------------------------------------------------------------------

NIGHT = {"outage_from": "2026-11-24T02:00", "outage_to": "2026-11-24T06:00"}
HOURLY = {"kind": "crontab", "minute": "30", "hour": "*"}


def outcomes(**typed: Any) -> list[tuple[str, str]]:
    simulated = foretold(**{**HOURLY, **NIGHT, **typed}).simulated
    assert simulated
    return [(line.own, f"{line.outcome} {line.why}") for line in simulated.lines]


def test_the_simulator_shows_what_each_policy_makes_of_a_night() -> None:
    once, skip, each = outcomes(missed="once"), outcomes(missed="skip"), outcomes(missed="all", missed_limit="2")
    assert once[0] == (
        "Tue 24 Nov, 02:30 UTC to 04:30:00 (3 ticks)",
        "skipped Beat was down; a later tick ran in its place",
    )
    assert once[1] == ("Tue 24 Nov, 05:30 UTC", "runs at Tue 24 Nov, 06:00 UTC")
    assert skip[0][0] == "Tue 24 Nov, 02:30 UTC to 05:30:00 (4 ticks)"
    assert [said for _, said in each[:3]] == [
        "skipped Beat was down; more ticks were missed than are run",
        *["runs at Tue 24 Nov, 06:00 UTC"] * 2,
    ]
    assert once[-1] == ("Tue 24 Nov, 08:30 UTC", "runs on time")


def test_the_picture_has_a_mark_for_each_line_and_says_the_sum() -> None:
    simulated = foretold(**HOURLY, **NIGHT).simulated
    assert simulated
    drawn = simulated.timeline
    assert "4 ticks fall into this time. Run after it: 1. Skipped: 3." in drawn.summary
    several, late = drawn.marks[0], drawn.marks[1]
    assert several.first_x is not None
    assert drawn.down_x < several.first_x < several.x < late.x < (late.runs_x or 0)
    assert late.runs_x == drawn.up_x


def test_the_picture_has_no_style_of_its_own(admin: Client) -> None:
    html = previewed(admin, **HOURLY, **NIGHT)
    assert "<svg" in html
    assert "style=" not in html
    assert "<script" not in html


def test_an_outage_that_ends_before_it_begins_is_named(admin: Client) -> None:
    html = previewed(admin, outage_from="2026-11-24T06:00", outage_to="2026-11-24T02:00")
    assert "later than the beginning" in errors(html)["id_outage_to"]
    assert "<svg" not in html


def test_an_outage_of_years_over_every_second_is_told_in_few_lines(admin: Client) -> None:
    year = {"outage_from": "2026-01-01T00:00", "outage_to": "2030-01-01T00:00"}
    begun = datetime.now(UTC)
    html = previewed(admin, every="1", period="seconds", missed="all", missed_limit="10000", **year)
    assert html.count("<li class=") <= foretelling.LINES + 1
    assert "and more" in html
    assert datetime.now(UTC) - begun < timedelta(seconds=20)


def test_the_page_of_a_schedule_tells_its_ticks_in_the_viewers_zone(admin: Client) -> None:
    row = every_five_minutes()
    html = admin.get(reverse(f"{PAGE}_ticks", args=[row.pk]), {"zone": "Asia/Tokyo"}).content.decode()
    assert html.count("JST") == 5
    assert "JST" not in admin.get(reverse(f"{PAGE}_ticks", args=[row.pk])).content.decode()
