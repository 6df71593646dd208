"""Reports: over processed pictures, and over the week's jobs."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core import mail as outbox
from django.core.files.storage import default_storage
from django.utils import timezone
from PIL import Image

from jobs.models import Job
from jobs.work import mail, reports, weekly


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def picture(name: str, before: int = 2000, after: int = 500) -> dict[str, Any]:
    sizes = {"input": {"bytes": before}, "output": {"bytes": after}}
    return {"input": name, "output": f"{name}_processed", "operations": ["resize", {"op": "rotate"}], "sizes": sizes}


def html(key: str) -> str:
    with default_storage.open(key) as file:
        return str(file.read().decode())


def test_the_report_lists_the_pictures_and_draws_a_chart() -> None:
    made = reports.over_pictures([picture("a.jpg"), picture("b.jpg", 100, 90)], "job-1")
    assert made == {"report": "reports/job-1.html"}
    page = html(made["report"])
    assert "2 pictures" in page
    assert "resize, rotate" in page
    svg = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    assert len(svg.findall("rect")) == 4
    heights = [float(rect.get("height", 0)) for rect in svg.findall("rect")]
    assert heights[0] == pytest.approx(4 * heights[1], rel=0.02)


def test_a_name_of_a_file_is_shown_as_text_never_as_html() -> None:
    page = html(reports.over_pictures([picture("<script>alert(1)</script>")], "job-1")["report"])
    assert "<script>" not in page


@pytest.mark.parametrize("results", [[], [None], [{}], [{"sizes": None, "operations": None}], [5, "x"]])
def test_results_without_pictures_make_a_report_too(results: list[Any]) -> None:
    assert "Processed pictures" in html(reports.over_pictures(results, "job-1")["report"])


def job(number: int, task: str, state: str, seconds: float = 1, days_ago: float = 1) -> Job:
    created = timezone.now() - timedelta(days=days_ago)
    return Job.objects.create(
        id=f"job-{number}", task=task, queue="default", state=state, body="[]", envelope="{}", root_job_id="x",
        created_at=created, started_at=created, finished_at=created + timedelta(seconds=seconds),
    )  # fmt: skip


@pytest.mark.django_db
def test_the_week_counts_jobs_a_day_and_state() -> None:
    job(1, "a", "succeeded")
    job(2, "a", "dead")
    job(3, "a", "succeeded", days_ago=3)
    job(4, "a", "succeeded", days_ago=8)
    week = weekly.figures(timezone.now())
    assert (week["total"], week["dead"]) == (3, 1)
    counts = {day["day"]: day["counts"] for day in week["days"]}
    yesterday = (timezone.now() - timedelta(days=1)).date()
    assert (counts[yesterday]["succeeded"], counts[yesterday]["dead"]) == (1, 1)
    assert len(week["days"]) == 8


@pytest.mark.django_db
def test_the_week_names_the_slowest_and_the_most_failed_tasks() -> None:
    for number, (task, state, seconds) in enumerate(
        [
            ("slow", "succeeded", 9),
            ("slow", "succeeded", 11),
            ("fast", "succeeded", 1),
            ("bad", "dead", 1),
            ("bad", "dead", 1),
        ]
    ):
        job(number, task, state, seconds)
    week = weekly.figures(timezone.now())
    assert [(row["task"], round(row["mean"]), round(row["longest"])) for row in week["slowest"]] == [
        ("slow", 10, 11),
        ("fast", 1, 1),
    ]
    assert [(row["task"], row["dead"], row["jobs"]) for row in week["failed"]] == [("bad", 2, 2)]


@pytest.mark.django_db
def test_the_week_is_mailed_as_text_and_html_with_a_chart_picture() -> None:
    job(1, "send_email", "succeeded")
    job(2, "<b>odd</b>", "dead")
    assert weekly.mail_report("ann@example.com", key="root-1") == {"status": "sent", "to": "ann@example.com", "jobs": 2}
    [sent] = outbox.outbox
    assert sent.extra_headers[mail.KEY_HEADER] == "root-1"
    page = str(sent.alternatives[0][0])
    assert "2 jobs, 1 dead" in page
    assert "&lt;b&gt;odd" in page
    assert "<b>odd</b>: 1 of 1 dead" in sent.body
    [part] = sent.attachments
    assert f"cid:{weekly.CHART_CID}" in page
    assert part["Content-ID"] == f"<{weekly.CHART_CID}>"
    chart = Image.open(io.BytesIO(part.get_payload(decode=True)))
    assert chart.format == "PNG"
    assert len({colour for _, colour in chart.convert("RGB").getcolors(100_000)}) > 4


@pytest.mark.django_db
def test_a_week_without_jobs_is_mailed_too() -> None:
    assert weekly.mail_report("ann@example.com")["jobs"] == 0
    assert "No job died." in outbox.outbox[0].body
