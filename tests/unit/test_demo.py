"""The example of calling a task from a view: posted in its transaction, followed to its end."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client, override_settings
from django_celery_results.models import TaskResult
from PIL import Image

from jobs.conf import conf
from jobs.errors import ArgumentsTooLarge
from jobs.ledger import drafts
from jobs.messages import arguments, dumps
from jobs.models import Job
from jobs.states import State
from tests.support.deaths import claimed, dead, posted

pytestmark = pytest.mark.django_db

MAIL = {"email-to": "a@example.com", "email-subject": "Hello", "email-body": "There"}


@pytest.fixture(autouse=True)
def media(tmp_path: Path) -> Iterator[Path]:
    with override_settings(MEDIA_ROOT=tmp_path):
        yield tmp_path


def picture() -> SimpleUploadedFile:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(content, "PNG")
    return SimpleUploadedFile("photo.png", content.getvalue(), "image/png")


def upload(client: Client, file: Any, operations: list[str]) -> Any:
    return client.post("/demo/process/", {"picture-picture": file, "picture-operations": operations})


def test_the_page_offers_both_forms(client: Client) -> None:
    html = client.get("/demo/").content.decode()
    assert "Send an e-mail" in html
    assert "Process a picture" in html


def test_a_good_mail_form_posts_one_job_and_leads_to_it(client: Client) -> None:
    answer = client.post("/demo/send/", MAIL)
    job = Job.objects.get()
    assert answer["Location"] == f"/demo/jobs/{job.pk}/"
    assert (job.task, job.state) == ("send_email", State.QUEUED)
    assert arguments(job.body) == ([], {"to": "a@example.com", "subject": "Hello", "body": "There"})


def test_a_bad_mail_form_leaves_no_job_and_keeps_what_was_typed(client: Client) -> None:
    answer = client.post("/demo/send/", {**MAIL, "email-to": "nobody"})
    assert answer.status_code == 422
    assert 'value="nobody"' in answer.content.decode()
    assert not Job.objects.exists()


def test_a_good_picture_is_stored_and_its_key_is_posted(client: Client) -> None:
    upload(client, picture(), ["thumbnail", "grayscale"])
    job = Job.objects.get()
    (key, operations), _ = arguments(job.body)
    assert key.startswith("uploads/photo")
    assert default_storage.exists(key)
    assert operations == ["thumbnail", "grayscale"]


def test_a_file_that_is_no_picture_leaves_no_job_and_no_file(client: Client, media: Path) -> None:
    answer = upload(client, SimpleUploadedFile("photo.png", b"no picture", "image/png"), ["thumbnail"])
    assert answer.status_code == 422
    assert not Job.objects.exists()
    assert not list(media.rglob("*.png"))


def test_a_job_that_can_not_be_posted_leaves_no_file(
    client: Client, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = replace(conf(), arguments_warn=1, arguments_max=1)
    monkeypatch.setattr(drafts, "conf", lambda: tight)
    with pytest.raises(ArgumentsTooLarge):
        upload(client, picture(), ["thumbnail"])
    assert not Job.objects.exists()
    assert not list(media.rglob("*.png"))


def test_a_rolled_back_view_leaves_no_job(client: Client) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        client.post("/demo/send/", MAIL)
        raise RuntimeError
    assert not Job.objects.exists()


def test_forms_are_posted_only(client: Client) -> None:
    assert client.get("/demo/send/").status_code == client.get("/demo/process/").status_code == 405


def test_a_running_job_is_followed_with_its_progress(client: Client) -> None:
    client.post("/demo/send/", MAIL)
    job = Job.objects.get()
    claimed(job.pk)
    Job.objects.update(progress=dumps({"done": 2, "total": 5, "note": "thumbnail"}))
    html = client.get(f"/demo/jobs/{job.pk}/").content.decode()
    assert "Running" in html
    assert '<progress value="2" max="5">' in html
    assert "refresh" in html


def test_the_part_that_changes_can_be_fetched_alone(client: Client) -> None:
    client.post("/demo/send/", MAIL)
    html = client.get(f"/demo/jobs/{Job.objects.get().pk}/?part").content.decode()
    assert "Queued" in html
    assert "<html" not in html
    assert "data-ended" not in html


def test_an_ended_job_shows_its_result_and_its_picture(client: Client, media: Path) -> None:
    upload(client, picture(), ["thumbnail"])
    job = Job.objects.get()
    key = default_storage.save("uploads/photo_processed.png", picture())
    Job.objects.update(state=State.SUCCEEDED)
    TaskResult.objects.create(
        task_id=job.pk,
        status="SUCCESS",
        result=dumps({"output": key}),
        content_type="application/json",
        content_encoding="utf-8",
    )
    html = client.get(f"/demo/jobs/{job.pk}/").content.decode()
    assert "data-ended" in html
    assert f'src="/demo/jobs/{job.pk}/picture/"' in html
    answer = client.get(f"/demo/jobs/{job.pk}/picture/")
    assert answer["Content-Type"] == "image/png"
    assert b"".join(answer.streaming_content).startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_job_without_a_picture_has_none_to_show(client: Client) -> None:
    client.post("/demo/send/", MAIL)
    assert client.get(f"/demo/jobs/{Job.objects.get().pk}/picture/").status_code == 404


def test_jobs_of_other_tasks_are_not_shown(client: Client) -> None:
    assert client.get(f"/demo/jobs/{posted()}/").status_code == 404
    assert client.get(f"/demo/jobs/{dead()}/").status_code == 404
