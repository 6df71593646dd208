"""Schedules in a real browser, before a running station: typed, foretold, saved, fired, paused."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from django_celery_beat.models import PeriodicTask
from playwright.sync_api import Browser, Page, expect

from jobs.schedules import preview
from tests.support.browsing import chromium, signed_in
from tests.support.station import Station

pytestmark = pytest.mark.databases("sqlite")

LIST = "/admin/django_celery_beat/periodictask/"
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with the web, beat, and a worker."""
    station.web()
    station.beat()
    station.worker("emails,default", concurrency=2)
    return station


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, running: Station) -> Iterator[Page]:
    """An admin's page in New York; any complaint of the browser, also of its policy, fails the test."""
    with signed_in(browser, running, "admin", timezone_id="America/New_York") as opened:
        yield opened


def calendar(page: Page, zone: str, **fields: str) -> None:
    """Types a line of the calendar."""
    page.get_by_role("radio", name="Calendar").check()
    page.get_by_label("Time zone").select_option(zone)
    for name, value in fields.items():
        page.locator(f"#id_{name}").fill(value)


def shown_ticks(page: Page) -> list[datetime]:
    found = page.locator("#preview time").evaluate_all("all => all.map(one => one.getAttribute('datetime'))")
    return [datetime.fromisoformat(at) for at in found]


def set_rows(**columns: Any) -> None:
    """In the station: a schedule as a script would write it."""
    name = columns.pop("name")
    PeriodicTask.objects.filter(name=name).update(**columns)


def next_of(name: str, after: str) -> list[str]:
    """In the station: what everybody else is told of its next ticks."""
    row = PeriodicTask.objects.get(name=name)
    return [tick.isoformat() for tick in preview.next_ticks(row, 5, datetime.fromisoformat(after))]


def test_weekdays_every_quarter_of_an_hour_in_paris_are_foretold_as_they_are_typed(page: Page) -> None:
    page.goto(f"{LIST}add/")
    page.get_by_label("Name").fill("quarters")
    page.get_by_label("Task").select_option("check_health")
    calendar(page, "Europe/Paris", minute="*/15", hour="8-18")
    typed = time.monotonic()
    page.locator("#id_day_of_week").fill("1-5")
    words = page.locator("#preview .words")
    expect(words).to_have_text("Weekdays every 15 min, 08:00 to 18:59, Paris")
    assert time.monotonic() - typed < 5
    clock = CronSim("*/15 8-18 * * 1-5", datetime.now(PARIS))
    assert shown_ticks(page) == [next(clock).astimezone(UTC) for _ in range(5)]
    expect(page.locator("#preview th")).to_have_text(["Europe/Paris", "You (America/New_York)"])
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("Saved quarters.")
    expect(page.locator(".headline")).to_contain_text("Weekdays every 15 min, 08:00 to 18:59, Paris")
    expect(page.locator("#ticks th").last).to_have_text("You (America/New_York)")


def test_the_gap_of_spring_is_foretold_and_marked(page: Page) -> None:
    page.goto(f"{LIST}add/")
    page.get_by_label("Name").fill("spring")
    page.get_by_label("Task").select_option("check_health")
    calendar(page, "Europe/Paris", minute="30", hour="2", month_of_year="3")
    page.get_by_text("More", exact=True).click()
    page.locator("#id_start_time").fill("2027-03-26T12:00:00")
    expect(page.locator("#preview .dst")).to_contain_text("02:30 does not exist")
    ticks = shown_ticks(page)
    # 02:30 that day: the first moment after the gap, 03:00 CEST; the other days as cronsim has them.
    clock = CronSim("30 2 * 3 *", datetime(2027, 3, 26, 12, tzinfo=PARIS))
    others = [at.astimezone(UTC) for at in (next(clock) for _ in range(5)) if at.date().day != 28]
    assert ticks == sorted({*others, datetime(2027, 3, 28, 1, tzinfo=UTC)})[:5]
    assert datetime(2027, 3, 28, 1, tzinfo=UTC) in ticks
    expect(page.locator("#preview")).to_contain_text("Sun 28 Mar 2027, 03:00 CEST")


def test_errors_appear_beside_their_field_while_one_types_and_nothing_is_lost(page: Page) -> None:
    page.goto(f"{LIST}add/")
    page.get_by_label("Name").fill("kept")
    calendar(page, "UTC", minute="99")
    slot = page.locator("#id_minute_error")
    expect(slot).to_contain_text("99")
    expect(slot).to_have_attribute("role", "alert")
    expect(page.locator("#id_task_error")).to_be_hidden()
    page.get_by_label("Task").select_option("process_payment")
    amount = page.get_by_label("amount")
    amount.fill("much")
    expect(page.locator("#id_arguments-amount_error")).to_contain_text("decimal")
    page.get_by_label("Task").select_option("send_email")
    page.get_by_label("subject").fill("kept too")
    page.get_by_label("Task").select_option("process_payment")
    expect(amount).to_have_value("much")
    page.locator("#id_minute").fill("*/20")
    expect(slot).to_be_hidden()
    expect(page.locator("#preview .words")).to_contain_text("20 min")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".errornote").first).to_contain_text("Nothing was saved")
    expect(amount).to_have_value("much")
    expect(page.get_by_label("Name")).to_have_value("kept")


def test_an_outage_is_drawn_and_told(page: Page) -> None:
    page.goto(f"{LIST}add/")
    calendar(page, "UTC", minute="30")
    page.locator("#id_outage_from").fill("2031-01-01T02:00:00")
    page.locator("#id_outage_to").fill("2031-01-01T06:00:00")
    summary = page.locator("#outage > p").last
    expect(summary).to_have_text("4 ticks fall into this time. Run after it: 1. Skipped: 3.")
    page.get_by_label("Missed ticks").select_option("all")
    expect(summary).to_have_text("4 ticks fall into this time. Run after it: 4. Skipped: 0.")
    expect(page.locator("#outage svg circle.runs")).to_have_count(5)  # one of the three after it lies beyond the edge
    page.get_by_label("Missed ticks").select_option("skip")
    expect(summary).to_have_text("4 ticks fall into this time. Run after it: 0. Skipped: 4.")


def test_a_schedule_of_seconds_fires_is_paused_with_a_reason_and_stops(page: Page, running: Station) -> None:
    page.goto(f"{LIST}add/")
    page.get_by_label("Name").fill("every two")
    page.get_by_label("Task").select_option("send_email")
    page.get_by_label("to", exact=True).fill("a@example.com")
    page.get_by_label("subject").fill("from a schedule")
    page.get_by_label("body").fill("one\ntwo")
    page.locator("#id_every").fill("2")
    page.get_by_label("Unit").select_option("seconds")
    expect(page.locator("#preview .words")).to_have_text("Every 2 seconds")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("Saved every two.")

    def fired() -> list[Any]:
        return running.sql("SELECT * FROM jobs_job WHERE schedule = %s", "every two")

    running.wait(lambda: len(fired()) >= 2, what="two ticks")
    assert '"body": "one\\ntwo"' in fired()[0]["body"]
    page.reload()
    expect(page.locator("table.ticks .badge").first).to_be_visible()

    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Reason").fill("enough of it")
    page.get_by_role("button", name="Pause 1 schedule").click()
    expect(page.locator(".headline .badge")).to_contain_text("Paused")
    expect(page.locator(".because")).to_contain_text("admin: enough of it")
    time.sleep(1)  # a tick that was being fired while it was paused
    stopped = len(fired())
    time.sleep(5)
    assert len(fired()) == stopped

    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".headline .badge")).to_contain_text("Enabled")
    running.wait(lambda: len(fired()) > stopped, what="a tick after the pause")
    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Reason").fill("the end")
    page.get_by_role("button", name="Pause 1 schedule").click()


def test_a_second_click_while_the_first_is_on_its_way_runs_nothing_twice(page: Page, running: Station) -> None:
    [row] = running.sql("SELECT id FROM django_celery_beat_periodictask WHERE name = %s", "daily-cleanup")
    page.goto(f"{LIST}{row['id']}/change/")
    page.evaluate(
        "() => { const run = document.querySelector('button[value=run_now]');"
        " run.click(); setTimeout(() => run.click(), 20); }"
    )
    expect(page.locator(".messagelist")).to_contain_text("Queued 1 job")
    time.sleep(1)  # the second, if there were one
    by_hand = "SELECT id FROM jobs_scheduletick WHERE schedule_id = %s AND by = %s"
    assert len(running.sql(by_hand, row["id"], "admin")) == 1


def test_a_pause_is_asked_for_and_told_in_the_readers_zone(page: Page, running: Station) -> None:
    [row] = running.sql("SELECT id FROM django_celery_beat_periodictask WHERE name = %s", "daily-cleanup")
    page.goto(f"{LIST}{row['id']}/change/")
    assert page.locator("#ticks .scroll").evaluate("one => one.scrollWidth - one.clientWidth") <= 0
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_label("Time zone")).to_have_value("America/New_York")
    page.get_by_label("Reason").fill("holidays")
    page.get_by_label("Until").select_option("at")
    page.get_by_label("That time").fill("2031-01-01T09:00:00")
    page.get_by_role("button", name="Pause 1 schedule").click()
    expect(page.locator(".because")).to_contain_text("Resumes 2031-01-01 14:00 UTC")
    expect(page.locator(".because")).to_contain_text("9:00 AM EST")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".headline .badge")).to_contain_text("Enabled")


def test_the_keyboard_alone_fills_and_saves_the_form(page: Page) -> None:
    page.goto(f"{LIST}add/")
    page.get_by_label("Name").focus()
    page.keyboard.type("by keys")
    page.keyboard.press("Tab")
    page.keyboard.type("check_health")
    page.locator("#id_kind_0").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#id_minute")).to_be_visible()
    expect(page.locator("#id_every")).to_be_hidden()
    page.locator("#id_minute").focus()
    page.keyboard.press("End")
    page.keyboard.press("Backspace")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("Saved by keys.")


def test_the_form_works_without_javascript(browser: Browser, running: Station) -> None:
    with signed_in(browser, running, "admin", java_script_enabled=False) as page:
        page.goto(f"{LIST}add/")
        for field in ("every", "minute", "once_at", "event"):
            expect(page.locator(f"#id_{field}")).to_be_visible()
        page.get_by_label("Name").fill("plain")
        page.get_by_label("Task").select_option("send_email")
        page.get_by_role("radio", name="Calendar").check()
        page.get_by_label("Start from").select_option("0 9 * * 1")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview .words")).to_have_text("Mondays at 09:00, UTC")
        page.get_by_label("to", exact=True).fill("a@example.com")
        page.get_by_label("subject").fill("s")
        page.get_by_label("body").fill("b")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".messagelist")).to_contain_text("Saved plain.")


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_every_page_of_schedules_fits_and_breaks_no_policy(browser: Browser, running: Station, look: str) -> None:
    size = {"width": 390, "height": 844} if look == "phone" else {"width": 1280, "height": 900}
    scheme = "dark" if look == "dark" else "light"
    [row] = running.sql("SELECT id FROM django_celery_beat_periodictask WHERE name = %s", "daily-cleanup")
    with signed_in(browser, running, "admin", viewport=size, color_scheme=scheme) as page:
        for path in ("", "?state=broken", "add/", *(f"{row['id']}/{part}/" for part in ("change", "edit", "delete"))):
            answer = page.goto(f"{LIST}{path}")
            assert answer is not None
            assert answer.status == 200
            page.wait_for_load_state("networkidle")
            too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert too_wide <= 0, f"{path} is {too_wide} px too wide"
            inputs = page.locator("main :is(input, select, textarea):not([type=hidden], [type=submit])")
            unnamed = inputs.evaluate_all(
                "all => all.filter(one => one.offsetParent && !one.labels.length && !one.ariaLabel)"
                ".map(one => one.outerHTML)"
            )
            assert unnamed == []


def test_every_timing_page_still_opens_under_the_strict_policy(page: Page) -> None:
    for model in ("crontabschedule", "intervalschedule", "clockedschedule", "solarschedule"):
        for path in ("", "add/"):
            answer = page.goto(f"/admin/django_celery_beat/{model}/{path}")
            assert answer is not None
            assert answer.status == 200
            assert re.search("script-src 'self'", answer.headers["content-security-policy"])
