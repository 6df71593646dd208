"""What doctor finds among the workers and queues."""

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from jobs.doctor import workers
from jobs.doctor.workers import Facts, Line
from jobs.models import Job, Queue, Worker
from jobs.queues import declared
from jobs.registry import registered_tasks
from jobs.states import Hold
from tests.support.finding import codes, only
from tests.support.lives import queued


def worker(**changed: Any) -> Worker:
    facts = {"remap_sigterm": True, "soft_shutdown": 6, "skew": 0.01}
    return Worker(**{"name": "emails@a", "pid": 1, "queues": "emails", "pool": "prefork", "facts": facts, **changed})


HEALTHY = Facts((Line("emails", 5, 1),), (worker(),), {}, {})


def of_worker(**changed: Any) -> list[str]:
    return codes(workers.findings(replace(HEALTHY, workers=(worker(**changed),), limited={"emails": ["send_email"]})))


def test_healthy_workers_are_fine_and_the_grace_of_their_containers_is_told() -> None:
    finding = only(workers.findings(HEALTHY))
    assert finding.severity == "fine"
    assert "up to 6 s" in finding.says
    assert "needs 10 s before its SIGKILL" in finding.says


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (Line("emails", 1, 0), "error workers.none"),
        (Line("emails", 0, 0), "warning workers.none"),
        (Line("emails", 0, 1, paused=True), "info workers.paused"),
    ],
)
def test_each_line_that_does_not_move_is_found(line: Line, code: str) -> None:
    assert codes(workers.findings(replace(HEALTHY, lines=(line,))))[0] == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"pool": "thread"}, "error workers.pool"),
        ({"pool": "thread", "queues": "default"}, "warning workers.pool"),
        ({"pool": "gevent"}, "error workers.pool"),
        ({"queues": "emails,nowhere"}, "warning workers.strange_queue"),
        ({"facts": {"remap_sigterm": False, "soft_shutdown": 6, "skew": 0}}, "warning workers.remap_sigterm"),
        ({"facts": {"remap_sigterm": True, "soft_shutdown": 0, "skew": 0}}, "warning workers.soft_shutdown"),
        ({"facts": {"remap_sigterm": True, "soft_shutdown": 6, "skew": 2}}, "warning workers.skew"),
        ({"facts": {"remap_sigterm": True, "soft_shutdown": 6, "skew": -20}}, "error workers.skew"),
    ],
)
def test_each_fault_of_a_worker_is_found_alone(changed: dict[str, Any], code: str) -> None:
    assert of_worker(**changed) == [code]


def test_a_worker_that_tells_no_facts_is_not_accused() -> None:
    assert of_worker(facts={}) == ["fine workers.fine"]


def test_two_workers_of_one_name_are_found() -> None:
    assert codes(workers.findings(replace(HEALTHY, workers=(worker(), worker())))) == ["warning workers.twins"]


def test_jobs_that_no_worker_knows_are_found() -> None:
    finding = only(workers.findings(replace(HEALTHY, workers=(), unknown={"reports.nightly": 3})))
    assert codes([finding]) == ["warning workers.unknown_task"]
    assert "3 jobs" in finding.says
    assert "reports.nightly" in finding.says


@pytest.mark.django_db
def test_the_facts_are_what_the_tables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered_tasks()["send_email"], "time_limit", 20)
    at = timezone.now()
    for id, name, stopped in (("1", "emails@a", None), ("2", "gone@a", at)):
        row = worker(id=id, name=name, started_at=at, heartbeat_at=at, stopped_at=stopped, concurrency=2)
        row.save()
    held, _ = queued(), queued()
    Job.objects.filter(id=held).update(hold=Hold.UNKNOWN_TASK)
    Queue.objects.update_or_create(name="heavy", defaults={"paused": True})
    facts = workers.gather()
    lines = {line.name: line for line in facts.lines}
    assert [each.name for each in facts.workers] == ["emails@a"]
    assert (lines["emails"].workers, lines["heavy"].paused) == (1, True)
    assert lines["default"].depth == 2
    assert facts.unknown == {"tests.plain_tasks.add": 1}
    assert facts.limited["emails"] == ["send_email"]


@pytest.mark.django_db
def test_a_queue_that_nobody_is_meant_to_serve_is_missed_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**declared(), "heavy": replace(declared()["heavy"], served=False)}
    monkeypatch.setattr(workers, "declared", lambda: table)
    assert "heavy" not in {line.name for line in workers.gather().lines}
    queued(queue="heavy")
    assert "heavy" in {line.name for line in workers.gather().lines}
