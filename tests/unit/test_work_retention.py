"""Pruning: what goes, what stays, and why."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_celery_results.models import ChordCounter, GroupResult, TaskResult

from dlq.models import DeadLetter
from jobs import retention
from jobs.clock import pruner
from jobs.conf import conf
from jobs.models import Attempt, Job, JobTag, Replay, Worker

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=31)
YESTERDAY = timedelta(days=1)


def ago(time: timedelta) -> datetime:
    return timezone.now() - time


def job(id: str, state: str = "succeeded", age: timedelta = LONG_AGO, group: str | None = None) -> Job:
    made = Job.objects.create(
        id=id, task="t", queue="default", state=state, body="[]", envelope="{}", root_job_id=id, group_id=group,
        created_at=ago(age), finished_at=None if state in ("queued", "running", "retrying") else ago(age),
    )  # fmt: skip
    JobTag.objects.create(job=made, tag="a")
    Attempt.objects.create(job=made, number=1, outcome="retried", ended_at=ago(age))
    return made


def result(id: str, age: timedelta = YESTERDAY, status: str = "SUCCESS") -> None:
    row = TaskResult.objects.create(
        task_id=id, status=status, content_type="application/json", content_encoding="utf-8"
    )
    TaskResult.objects.filter(pk=row.pk).update(date_done=ago(age))


def chord(group: str) -> None:
    ChordCounter.objects.create(group_id=group, sub_tasks=json.dumps([]), count=1)


def letter(job_id: str, status: str, closed: timedelta | None = None) -> None:
    DeadLetter.objects.create(
        job_id=job_id, task="t", queue="default", reason="exhausted", fingerprint="f", status=status,
        created_at=ago(LONG_AGO), closed_at=ago(closed) if closed else None,
    )  # fmt: skip


def left() -> set[str]:
    return set(Job.objects.values_list("id", flat=True))


def test_jobs_that_ended_long_ago_go_with_their_attempts_and_tags() -> None:
    for state in ("succeeded", "dead", "cancelled", "expired"):
        job(f"old-{state}", state)
    job("new", age=timedelta(days=29))
    assert retention.prune()["jobs"] == 4
    assert left() == {"new"}
    assert (Attempt.objects.count(), JobTag.objects.count()) == (1, 1)


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "retrying"])
def test_a_job_that_has_not_ended_is_never_pruned(state: str) -> None:
    job("a", state)
    retention.prune()
    assert left() == {"a"}


def test_retention_days_is_a_setting(settings: Any) -> None:
    settings.JOBS = {**settings.JOBS, "RETENTION_DAYS": 2}
    conf.cache_clear()
    try:
        job("a", age=timedelta(days=3))
        job("b", age=timedelta(days=1))
        retention.prune()
    finally:
        conf.cache_clear()
    assert left() == {"b"}


def test_more_jobs_than_one_batch_all_go(settings: Any) -> None:
    settings.JOBS = {**settings.JOBS, "BATCH": 2}
    conf.cache_clear()
    try:
        for number in range(7):
            job(f"job-{number}")
        assert retention.prune()["jobs"] == 7
    finally:
        conf.cache_clear()


def test_a_dead_job_with_an_open_letter_stays_and_so_does_its_letter() -> None:
    job("a", "dead")
    letter("a", "open")
    retention.prune()
    assert left() == {"a"}
    assert DeadLetter.objects.count() == 1


def test_a_letter_closed_long_ago_goes_with_its_job_in_one_run() -> None:
    job("a", "dead")
    letter("a", "discarded", LONG_AGO)
    counts = retention.prune()
    assert (counts["jobs"], counts["dead_letters"]) == (1, 1)


def test_a_letter_closed_lately_stays() -> None:
    letter("a", "requeued", YESTERDAY)
    retention.prune()
    assert DeadLetter.objects.count() == 1


def test_results_past_their_expiry_go() -> None:
    result("old")
    result("new", timedelta(minutes=50))
    result("under-way", status="RETRY")
    assert retention.prune_results()["results"] == 1
    assert set(TaskResult.objects.values_list("task_id", flat=True)) == {"new", "under-way"}


def test_expired_results_go_a_moment_at_a_time_when_the_clock_prunes(settings: Any) -> None:
    result("old")
    assert retention.prune_results(seconds=0)["results"] == 0
    assert list(pruner.prune_results("default"))
    assert not TaskResult.objects.exists()


def test_results_that_an_open_chord_waits_for_stay() -> None:
    chord("g")
    job("member", group="g", age=YESTERDAY)
    result("member")
    result("other")
    retention.prune_results()
    assert set(TaskResult.objects.values_list("task_id", flat=True)) == {"member"}


def test_group_results_past_their_expiry_go_unless_their_chord_is_open() -> None:
    chord("open")
    for group in ("open", "done"):
        row = GroupResult.objects.create(group_id=group, content_type="", content_encoding="")
        GroupResult.objects.filter(pk=row.pk).update(date_done=ago(YESTERDAY))
    assert retention.prune_results()["group_results"] == 1
    assert GroupResult.objects.get().group_id == "open"


def test_members_of_an_open_chord_stay_while_another_member_does() -> None:
    chord("g")
    job("done", group="g")
    job("dead", "dead", group="g")
    letter("dead", "open")
    retention.prune()
    assert left() == {"done", "dead"}
    assert ChordCounter.objects.exists()


def test_a_chord_counter_goes_with_the_last_job_of_its_group() -> None:
    chord("g")
    chord("fresh")
    job("a", group="g")
    job("b", "cancelled", group="g")
    counts = retention.prune()
    assert (counts["jobs"], counts["chords"]) == (2, 1)
    assert ChordCounter.objects.get().group_id == "fresh"


def test_workers_that_fell_silent_days_ago_go() -> None:
    for name, age in (("old", timedelta(days=2)), ("new", timedelta(minutes=1))):
        Worker.objects.create(
            id=name, name=name, pid=1, queues="default", concurrency=1, pool="prefork",
            started_at=ago(age), heartbeat_at=ago(age), stopped_at=ago(age) if name == "old" else None,
        )  # fmt: skip
    assert retention.prune()["workers"] == 1
    assert Worker.objects.get().id == "new"


def test_remembered_answers_go_after_a_day() -> None:
    for key, age in (("old", timedelta(hours=25)), ("new", timedelta(hours=23))):
        row = Replay.objects.create(caller="c", key=key, body_hash="h")
        Replay.objects.filter(pk=row.pk).update(created_at=ago(age))
    assert retention.prune()["replays"] == 1
    assert Replay.objects.get().key == "new"
