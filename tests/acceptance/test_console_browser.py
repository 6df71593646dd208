"""The console in a real browser, before a running station."""

import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from jobs.tasks.process_payment import process_payment
from jobs.tasks.send_email import send_email
from tests.support.browsing import chromium, signed_in
from tests.support.station import Station

pytestmark = pytest.mark.databases("sqlite")

PAGES = (
    *("/admin/", "/admin/dlq/deadletter/", "/admin/django_celery_beat/periodictask/"),
    *(f"/admin/jobs/{model}/" for model in ("job", "queue", "worker", "activity")),
    *("/admin/django_celery_results/taskresult/", "/demo/"),
)


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with the web (the sandbox is in it), beat, and a worker on every queue."""
    station.web()
    station.beat()
    station.worker("emails,heavy,payments,default", concurrency=4)
    return station


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, running: Station) -> Iterator[Page]:
    """An operator's page."""
    with signed_in(browser, running, "operate") as opened:
        yield opened


def pay(order_id: str, amount: int) -> str:
    return str(process_payment.delay(order_id, amount).id)


def mail(subject: str) -> str:
    return str(send_email.delay("a@example.com", subject, "x").id)


def letter_of(page: Page, job_id: str) -> None:
    """From the list of open letters to the one of this job."""
    page.goto("/admin/dlq/deadletter/")
    page.get_by_role("textbox").first.fill(job_id)
    page.get_by_role("button", name="Search").click()
    page.locator("#result_list").get_by_role("link", name=re.compile("#")).click()


def test_a_payment_below_zero_dies_is_requeued_with_another_amount_and_succeeds(page: Page, running: Station) -> None:
    dead = running.call(pay, "order-browser", -1)
    running.wait_state(dead, "dead")

    letter_of(page, dead)
    expect(page.locator(".badge.bad")).to_contain_text("Open")
    args = page.get_by_label("Positional arguments")
    expect(args).to_have_value('["order-browser", -1]')

    args.fill('["order-browser", ')
    page.get_by_label("Reason").fill("typed wrongly")
    page.get_by_role("button", name="Requeue with changes").click()
    expect(page.get_by_text("This is not JSON")).to_be_visible()
    expect(args).to_have_value('["order-browser", ')
    expect(page.get_by_label("Reason")).to_have_value("typed wrongly")

    args.fill('["order-browser"]')
    page.get_by_role("button", name="Requeue with changes").click()
    expect(page.get_by_text("amount: Missing")).to_be_visible()

    args.fill('["order-browser", 12.5]')
    page.get_by_role("button", name="Requeue with changes").click()
    new = page.locator(".messagelist a")
    expect(new).to_be_visible()
    new_id = (new.text_content() or "").removeprefix("job ")
    expect(page.locator(".badge.busy")).to_contain_text("Requeued")
    new.click()
    expect(page.get_by_role("heading", name=f"Job {new_id}")).to_be_visible()
    running.wait_state(new_id, "succeeded")
    page.reload()
    expect(page.locator(".badge.good")).to_contain_text("Succeeded")
    expect(page.get_by_text('"status": "paid"')).to_be_visible()
    expect(page.get_by_role("link", name=dead)).to_be_visible()

    page.goto(f"/admin/dlq/deadletter/?q={dead}")
    expect(page.get_by_text("0 dead letters")).to_be_visible()
    page.goto("/admin/jobs/activity/")
    expect(page.get_by_role("row", name=re.compile("operate requeue changed dead letter")).first).to_contain_text(
        "typed wrongly"
    )


def test_a_letter_is_requeued_by_one_click_and_dies_again_into_a_second_letter(page: Page, running: Station) -> None:
    dead = running.call(pay, "order-again", -1)
    running.wait_state(dead, "dead")
    letter_of(page, dead)
    page.get_by_role("button", name="Requeue", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("Requeued 1 dead letter.")
    running.wait(lambda: len(running.letters(dead)) == 2, what="a second letter")
    letter_of(page, dead)
    expect(page.get_by_role("link", name=re.compile("Dead letter #"))).to_be_visible()


def test_ticked_letters_are_discarded_with_a_reason_after_a_question(page: Page, running: Station) -> None:
    dead = [running.call(pay, f"order-ticked-{n}", -1) for n in range(2)]
    running.wait_ended(dead)
    page.goto("/admin/dlq/deadletter/?q=process_payment")
    for job_id in dead:
        [letter] = running.letters(job_id)
        page.locator(f'input[name="_selected_action"][value="{letter["id"]}"]').check()
    page.get_by_label("Action:").select_option("discard")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("heading", name="Discard 2 dead letters")).to_be_visible()
    page.get_by_label("Reason").fill("test orders")
    page.get_by_role("button", name="Discard 2 dead letters").click()
    expect(page.locator(".messagelist")).to_contain_text("Discarded 2 dead letters.")
    assert {running.letters(job_id)[0]["close_reason"] for job_id in dead} == {"test orders"}


def test_a_queue_is_paused_and_resumed_and_its_jobs_wait_meanwhile(page: Page, running: Station) -> None:
    page.goto("/admin/jobs/queue/emails/change/")
    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Reason").fill("mail provider is down")
    page.get_by_role("button", name="Pause 1 queue").click()
    expect(page.locator(".badge.warn")).to_contain_text("Paused")
    waiting = running.call(mail, "held")
    assert running.job(waiting)["hold"] == "paused"
    page.goto("/admin/jobs/queue/")
    expect(page.get_by_role("row", name=re.compile("emails"))).to_contain_text("mail provider is down")
    page.goto("/admin/jobs/queue/emails/change/")
    page.get_by_role("button", name="Resume").click()
    running.wait_state(waiting, "succeeded")


def test_a_viewer_is_offered_nothing_to_press(browser: Browser, running: Station) -> None:
    dead = running.call(pay, "order-viewed", -1)
    running.wait_state(dead, "dead")
    with signed_in(browser, running, "view") as page:
        letter_of(page, dead)
        expect(page.get_by_role("button", name="Requeue")).to_have_count(0)
        expect(page.locator("main form button, main form input[type=submit]")).to_have_count(0)
        page.goto("/admin/jobs/job/")
        expect(page.get_by_label("Action:")).to_have_count(0)


def test_a_mail_sent_from_the_demonstration_is_followed_to_its_end(page: Page) -> None:
    page.goto("/demo/")
    page.get_by_label("Subject").fill("from the browser")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".word")).to_have_text("Succeeded", timeout=20_000)
    expect(page.locator("dl")).to_contain_text("sent")


def test_a_picture_uploaded_in_the_demonstration_comes_back_smaller(page: Page, running: Station) -> None:
    path = running.data / "holiday.png"
    Image.new("RGB", (800, 600), "teal").save(path)
    page.goto("/demo/")
    page.get_by_label("Picture").set_input_files(path)
    page.get_by_role("button", name="Process").click()
    made = page.get_by_role("img", name="The picture that the job made")
    expect(made).to_be_visible(timeout=20_000)
    assert 0 < made.evaluate("image => image.naturalWidth") < 800


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_every_page_fits_its_window_and_complains_of_nothing(browser: Browser, running: Station, look: str) -> None:
    size = {"width": 390, "height": 844} if look == "phone" else {"width": 1280, "height": 900}
    scheme = "dark" if look == "dark" else "light"
    with signed_in(browser, running, "admin", viewport=size, color_scheme=scheme) as page:
        for path in PAGES:
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200
            too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert too_wide <= 0, f"{path} is {too_wide} px too wide"
