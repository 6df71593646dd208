"""Fetch, transform, save: keys go from step to step, counts come out."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from jobs.errors import TaskFailure
from jobs.work import keys, pipeline
from jobs.work.models import Record
from tests.support.outside import Outside, Reply, outside

ROWS = [{"id": 1, " Name ": " Ann ", "note": ""}, {"id": 2, "name": None}, {"id": 1, "name": "Anna"}]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def source() -> Iterator[Outside]:
    with outside() as running:
        running.answer = lambda request: Reply(json.dumps(ROWS).encode())
        yield running


@pytest.mark.django_db
def test_three_steps_pass_keys_and_end_with_counts(source: Outside) -> None:
    fetched = pipeline.fetch(source.url(), "job-1")
    transformed = pipeline.transform(fetched)
    assert (fetched, transformed) == ("pipeline/job-1-fetched.json", "pipeline/job-1-fetched-transformed.json")
    assert pipeline.save(transformed) == {"fetched": 3, "dropped": 1, "saved": 2}
    rows = {record.external_id: json.loads(record.row) for record in Record.objects.all()}
    assert rows == {"1": {"id": 1, "name": "Anna"}, "2": {"id": 2}}


@pytest.mark.django_db
def test_a_step_done_twice_changes_nothing(source: Outside, media: Path) -> None:
    for _ in range(2):
        pipeline.save(pipeline.transform(pipeline.fetch(source.url(), "job-1")))
    assert Record.objects.count() == 2
    assert len(list((media / "pipeline").iterdir())) == 2


@pytest.mark.parametrize("key", ["../../etc/passwd", "pipeline/none.json", "", "/"])
def test_a_key_that_names_no_file_is_refused(key: str) -> None:
    for step in (pipeline.transform, pipeline.save):
        with pytest.raises(TaskFailure):
            step(key)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"5", b"{}", b'{"source": "x"}', b"\xff", b'{"source": "x", "rows": 5}']
)
def test_a_file_of_somebody_else_is_refused(content: bytes) -> None:
    keys.write("pipeline/other.json", content)
    for step in (pipeline.transform, pipeline.save):
        with pytest.raises(TaskFailure, match="is not a file of"):
            step("pipeline/other.json")


def test_old_files_are_pruned_and_new_ones_stay(source: Outside) -> None:
    pipeline.fetch(source.url(), "job-1")
    assert pipeline.prune(timezone.now() - timedelta(days=1)) == {"pipeline_files": 0}
    assert pipeline.prune(timezone.now() + timedelta(days=1)) == {"pipeline_files": 1}


def test_a_job_id_that_is_no_file_name_still_names_a_file() -> None:
    assert keys.name_of("0b0c-1") == "0b0c-1"
    named = keys.name_of("../Ärger/" + "x" * 200)
    assert named.isalnum()
    assert named != keys.name_of("../Ärger/")
