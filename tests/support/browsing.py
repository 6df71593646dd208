"""A real browser, and people of a station who sign in with it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group, User
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.station import Station

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PASSWORD = "correct horse battery staple"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser, or Playwright's own."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def signed_in(browser: Browser, station: Station, role: str, **options: Any) -> Iterator[Page]:
    """A person of this group at the console; what the browser complains about fails the test."""
    station.call(make_person, role)
    context = browser.new_context(base_url=f"http://127.0.0.1:{station.port}", **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto("/admin/login/")
    page.get_by_label("Username").fill(role)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield page
    context.close()
    assert [said for said in complaints if "favicon" not in said and "404" not in said] == []


def make_person(role: str) -> None:
    """In the station: a person of this group who may sign in."""
    person, _ = User.objects.get_or_create(username=role, defaults={"is_staff": True})
    person.set_password(PASSWORD)
    person.save()
    person.groups.set([Group.objects.get(name=role)])
