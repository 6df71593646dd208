"""Dead letters, queues, schedules, health, figures and the API's own document."""

import datetime

import pytest
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from dlq.models import DeadLetter
from jobs import operations
from jobs.models import Activity, Job, ScheduleStanding
from jobs.schedules.pressing import pause, run_now
from tests.support.api import ApiCaller, places, refused
from tests.support.lives import dead, job, queued, running

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> ApiCaller:
    return ApiCaller("admin")


# --- dead letters ---


def letter(id_) -> int:
    return DeadLetter.objects.get(job_id=id_).pk


def test_a_death_is_listed_with_all_that_is_known(api):
    id_ = dead(message="no luck")
    (seen,) = api.get("/dead-letters").json()["items"]
    assert seen["task_id"] == id_
    assert (seen["task"], seen["queue"], seen["args"], seen["kwargs"]) == (
        "tests.plain_tasks.add",
        "default",
        [1, 2],
        {},
    )
    assert (seen["reason"], seen["error"], seen["message"]) == ("not_retryable", "ValueError", "no luck")
    assert (seen["attempts"], seen["status"], len(seen["fingerprint"]) > 0) == (1, "open", True)
    assert seen["created_at"]


def test_dead_letters_come_in_pages(api):
    ids = [dead() for _ in range(3)]
    first = api.get("/dead-letters", limit=2).json()
    second = api.get("/dead-letters", limit=2, cursor=first["next"]).json()
    assert [item["task_id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next"] is None


@pytest.mark.parametrize(
    "query",
    [{"task": "tests.plain_tasks.fail"}, {"queue": "heavy"}, {"error": "KeyError"}, {"reason": "not_retryable"}],
)
def test_a_filter_finds_only_such_letters(api, query):
    wanted = dead("tests.plain_tasks.fail", "x", queue="heavy", error="KeyError")
    if "reason" not in query:
        dead()
    assert [item["task_id"] for item in api.get("/dead-letters", **query).json()["items"]] == [wanted]
    assert api.get("/dead-letters", status="discarded", **query).json()["items"] == []


def test_letters_of_one_cause_are_found_by_their_fingerprint(api):
    dead("tests.plain_tasks.fail", "x", error="KeyError")
    wanted = DeadLetter.objects.get(job_id=dead())
    (seen,) = api.get("/dead-letters", fingerprint=wanted.fingerprint).json()["items"]
    assert seen["id"] == wanted.pk


@pytest.mark.parametrize("query", [{"status": "lost"}, {"reason": "bad luck"}, {"cursor": "x"}, {"stat": "open"}])
def test_letters_that_cannot_be_asked_for_are_refused(api, query):
    refused(api.get("/dead-letters", **query), 422)


def test_a_letter_is_requeued_once(api):
    id_ = dead()
    answer = api.post(f"/dead-letters/{letter(id_)}/requeue", {"reason": "mended"})
    assert (answer.status_code, answer.json()) == (202, {"task_id": id_, "status": "queued"})
    refused(api.post(f"/dead-letters/{letter(id_)}/requeue"), 409)
    refused(api.post(f"/dead-letters/{letter(id_)}/discard", {"reason": "x"}), 409)
    assert job(id_).state == "queued"


def test_a_letter_is_requeued_with_other_arguments(api):
    id_ = dead()
    new = api.post(f"/dead-letters/{letter(id_)}/requeue", {"args": [5, 6]}).json()["task_id"]
    assert (job(new).requeued_from_id, DeadLetter.objects.get(job_id=id_).replaced_by_id) == (id_, new)


def test_arguments_that_do_not_fit_leave_the_letter_open(api):
    id_ = dead()
    assert places(refused(api.post(f"/dead-letters/{letter(id_)}/requeue", {"args": []}), 422))
    assert DeadLetter.objects.get(job_id=id_).status == "open"


def test_a_letter_is_discarded_once_with_its_reason(api):
    id_ = dead()
    assert api.post(f"/dead-letters/{letter(id_)}/discard", {"reason": "a test"}).status_code == 200
    refused(api.post(f"/dead-letters/{letter(id_)}/discard", {"reason": "a test"}), 409)
    assert Activity.objects.get(action="discard").reason == "a test"


def test_a_letter_is_requeued_once_for_one_key(api):
    id_ = dead()
    first = api.post(f"/dead-letters/{letter(id_)}/requeue", {}, Idempotency_Key="k")
    again = api.post(f"/dead-letters/{letter(id_)}/requeue", {}, Idempotency_Key="k")
    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.parametrize("verb", ["requeue", "discard"])
@pytest.mark.parametrize("number", [4711, 10**30])
def test_an_unknown_letter_is_not_found(api, verb, number):
    refused(api.post(f"/dead-letters/{number}/{verb}", {"reason": "x"}), 404)


# --- queues ---


def of(api, name="default"):
    return next(queue for queue in api.get("/queues").json()["items"] if queue["name"] == name)


def test_every_declared_queue_is_shown(api):
    assert [queue["name"] for queue in api.get("/queues").json()["items"]] == ["emails", "heavy", "payments", "default"]
    assert of(api, "payments")["limit"] == 1


def test_a_queue_shows_its_line(api):
    queued()
    running()
    seen = of(api)
    assert (seen["depth"], seen["running"], seen["workers"], seen["paused"]) == (1, 1, 0, False)
    assert 0 <= seen["oldest_wait"] < 60


def test_a_queue_is_paused_and_resumed(api):
    paused = api.post("/queues/default/pause", {"reason": "deploy"})
    assert (paused.status_code, paused.json()["paused"], paused.json()["pause_reason"]) == (200, True, "deploy")
    assert of(api)["paused"] is True
    assert api.post("/queues/default/resume").json()["paused"] is False
    acts = Activity.objects.filter(kind="queue").order_by("id")
    assert list(acts.values_list("action", flat=True)) == ["pause", "resume"]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_unknown_queue_is_not_found(api, verb):
    refused(api.post(f"/queues/nowhere/{verb}", {}), 404)


# --- schedules ---


def test_the_schedules_are_shown_with_their_next_ticks(api):
    (cleanup,) = [s for s in api.get("/schedules").json()["items"] if s["name"] == "daily-cleanup"]
    assert (cleanup["task"], len(cleanup["next"]), cleanup["last_run"]) == ("cleanup_old_data", 5, None)
    assert "02:00" in cleanup["words"]
    assert all(datetime.datetime.fromisoformat(tick).hour == 2 for tick in cleanup["next"])


def schedule_named(api, name):
    (found,) = [s for s in api.get("/schedules").json()["items"] if s["name"] == name]
    return found


def test_a_schedule_tells_how_it_is_doing(api):
    row = PeriodicTask.objects.get(name="daily-cleanup")
    assert schedule_named(api, "daily-cleanup")["state"] == "enabled"
    job = run_now(row.pk, "ann")
    last = schedule_named(api, "daily-cleanup")["last_tick"]
    assert (last["outcome"], last["job_id"], last["by"]) == ("run", job, "ann")
    pause([row.pk], "ann", "No room")
    found = schedule_named(api, "daily-cleanup")
    assert (found["state"], found["reason"], found["next"], found["next_tick"]) == ("paused", "ann: No room", [], None)


def test_a_late_schedule_tells_by_how_much(api):
    row = PeriodicTask.objects.get(name="daily-cleanup")
    at = timezone.now() - datetime.timedelta(hours=1)
    ScheduleStanding.objects.create(
        schedule=row, name=row.name, anchor=at, position=at, armed_at=at, next_tick=at, timing="x"
    )
    found = schedule_named(api, "daily-cleanup")
    assert (found["state"], found["late_by"] > 3000, found["next_tick"]) == ("late", True, at.isoformat())


def test_many_schedules_take_as_few_statements_as_one(api, django_assert_max_num_queries):
    cron = CrontabSchedule.objects.create(minute="7")
    PeriodicTask.objects.bulk_create(
        PeriodicTask(name=f"n{number}", task="check_health", crontab=cron) for number in range(50)
    )
    with django_assert_max_num_queries(12):
        assert len(api.get("/schedules").json()["items"]) > 50


# --- health and figures ---


def test_a_ready_process_says_so():
    assert Client().get("/readyz").json() == {"status": "ok", "database": "ok", "redis": "ok"}


def test_readiness_names_redis_when_it_is_down(bell):
    bell.stop()
    assert places(refused(Client().get("/readyz"), 503)) == [["redis"]]
    assert Client().get("/healthz").status_code == 200


def test_a_job_is_accepted_while_redis_is_down(api, bell):
    bell.stop()
    assert api.post("/tasks/tests.plain_tasks.add", {"args": [1, 2]}).status_code == 202
    assert Job.objects.count() == 1


def test_the_figures_are_prometheus_text(api):
    queued()
    dead()
    answer = api.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain")
    lines = answer.content.decode().splitlines()
    assert 'stationmaster_jobs{queue="default",state="queued"} 1.0' in lines
    assert 'stationmaster_queue_depth{queue="default"} 1.0' in lines
    assert "stationmaster_dead_letters_open 1.0" in lines
    assert "stationmaster_workers_alive 0.0" in lines


def test_the_figures_may_be_public(settings):
    refused(Client().get("/metrics"), 401)
    settings.METRICS_PUBLIC = True
    assert Client().get("/metrics").status_code == 200


# --- the document ---


def test_the_document_describes_every_call(api):
    document = Client().get("/openapi.json").json()
    assert set(document["paths"]) >= {
        "/tasks/email",
        "/tasks/process-image",
        "/tasks",
        "/tasks/{name_or_id}",
        "/tasks/{name_or_id}/revoke",
        "/tasks/{name_or_id}/requeue",
        "/dead-letters",
        "/dead-letters/{letter_id}",
        "/dead-letters/{letter_id}/requeue",
        "/dead-letters/{letter_id}/discard",
        "/queues",
        "/queues/{name}/pause",
        "/queues/{name}/resume",
        "/schedules",
        "/healthz",
        "/readyz",
        "/metrics",
    }


def test_the_document_describes_the_arguments_of_each_task(api):
    document = Client().get("/openapi.json").json()
    arguments = document["components"]["schemas"]["arguments.send_email"]
    assert arguments["required"] == ["to", "subject", "body"]
    assert "send_email" in document["paths"]["/tasks/{name_or_id}"]["post"]["description"]


def test_every_reference_of_the_document_leads_somewhere():
    document = Client().get("/openapi.json").json()

    def references(part):
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    for reference in set(references(document)):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_pause_is_shown_on_the_jobs_that_it_holds(api):
    id_ = queued()
    operations.pause("default", by="tests")
    assert api.get(f"/tasks/{id_}").json()["hold"] == "paused"
