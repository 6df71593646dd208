"""Pause, resume, run now, duplicate: each once, with its trace, and nothing half."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from jobs.ledger.publish import collecting
from jobs.messages import loads
from jobs.models import Activity, Job, SchedulePolicy, ScheduleTick
from jobs.policies import Missed
from jobs.schedules.pressing import NameTaken, ResumeInThePast, duplicate, pause, resume, run_now
from jobs.schedules.rows import UnknownSchedule
from jobs.schedules.sending import send
from jobs.schedules.validation import ScheduleRefused

pytestmark = pytest.mark.django_db

ADD = "tests.plain_tasks.add"
LONG_AGO = timezone.now() - timedelta(days=400)


def made(name: str = "mine", **columns: Any) -> PeriodicTask:
    every, _ = IntervalSchedule.objects.get_or_create(every=77, period="seconds")
    row: PeriodicTask = PeriodicTask.objects.create(
        **{"name": name, "task": ADD, "args": "[1, 2]", "interval": every, **columns}
    )
    return row


def fresh(row: PeriodicTask) -> PeriodicTask:
    return PeriodicTask.objects.get(pk=row.pk)


def acts() -> list[tuple[str, str, str, str]]:
    return [(a.by, a.action, a.key, a.reason) for a in Activity.objects.filter(kind="schedule").order_by("id")]


# --- pause and resume ---


def test_a_paused_schedule_is_off_with_a_note_and_keeps_its_last_run() -> None:
    row = made()
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=LONG_AGO)
    until = timezone.now() + timedelta(hours=3)
    assert pause([row.pk], "ann", "The provider is down", until).done == ["mine"]
    policy = SchedulePolicy.objects.get(pk=row.pk)
    assert (fresh(row).enabled, fresh(row).last_run_at) == (False, LONG_AGO)
    assert (policy.paused_by, policy.pause_reason, policy.resume_at) == ("ann", "The provider is down", until)
    assert policy.paused_at is not None
    assert acts() == [("ann", "pause", "mine", "The provider is down")]


def test_a_second_pause_changes_nothing_and_says_so() -> None:
    row = made()
    pause([row.pk], "ann", "first")
    pressed = pause([row.pk], "bob", "second")
    assert (pressed.done, pressed.unchanged) == ([], ["mine"])
    assert SchedulePolicy.objects.get(pk=row.pk).paused_by == "ann"
    assert len(acts()) == 1


def test_many_are_paused_together_those_that_are_on() -> None:
    rows = [made("a"), made("b"), made("c", enabled=False)]
    pressed = pause([row.pk for row in rows], "ann", "why")
    assert (pressed.done, pressed.unchanged) == (["a", "b"], ["c"])
    assert [key for _, _, key, _ in acts()] == ["a", "b"]


def test_a_pause_keeps_the_policy_and_a_resume_clears_the_note_only() -> None:
    row = made()
    SchedulePolicy.objects.create(schedule=row, missed=Missed.ALL, jitter=5)
    pause([row.pk], "ann", "why")
    assert resume([row.pk], "bob", "back").done == ["mine"]
    policy = SchedulePolicy.objects.get(pk=row.pk)
    assert fresh(row).enabled
    assert (policy.missed, policy.jitter, policy.paused_at, policy.paused_by, policy.resume_at) == (
        Missed.ALL, 5, None, "", None
    )  # fmt: skip
    assert acts()[-1] == ("bob", "resume", "mine", "back")


def test_a_second_resume_changes_nothing() -> None:
    row = made()
    assert resume([row.pk], "ann").unchanged == ["mine"]
    assert acts() == []


def test_a_pause_that_has_ended_already_is_refused() -> None:
    row = made()
    with pytest.raises(ResumeInThePast, match="later time"):
        pause([row.pk], "ann", resume_at=LONG_AGO)
    assert fresh(row).enabled


def test_other_readers_are_told_of_both() -> None:
    row = made()
    for press in (pause, resume):
        PeriodicTasks.objects.update(last_update=LONG_AGO)
        press([row.pk], "ann")
        assert PeriodicTasks.last_change() > LONG_AGO


def test_a_schedule_that_would_not_tick_is_not_resumed_and_says_why() -> None:
    broken, ended, sound = made("broken"), made("ended"), made("sound")
    pause([row.pk for row in (broken, ended, sound)], "ann")
    PeriodicTask.objects.filter(pk=broken.pk).update(task="no.such")
    PeriodicTask.objects.filter(pk=ended.pk).update(expires=LONG_AGO)
    pressed = resume([row.pk for row in (broken, ended, sound)], "bob")
    assert pressed.done == ["sound"]
    assert "no.such" in pressed.refused["broken"]
    assert "Let it end later" in pressed.refused["ended"]
    assert [fresh(row).enabled for row in (broken, ended, sound)] == [False, False, True]
    assert SchedulePolicy.objects.get(pk=broken.pk).paused_by == "ann"


def test_the_end_of_a_pause_enables_a_broken_one_too() -> None:
    row = made()
    pause([row.pk], "ann")
    PeriodicTask.objects.filter(pk=row.pk).update(task="no.such")
    assert resume([row.pk], "beat", "The pause has ended", anyway=True).done == ["mine"]
    assert fresh(row).enabled


def test_a_one_off_schedule_that_is_resumed_may_run_again() -> None:
    row = made(one_off=True, enabled=False)
    PeriodicTask.objects.filter(pk=row.pk).update(total_run_count=1)
    resume([row.pk], "ann")
    assert fresh(row).total_run_count == 0


@pytest.mark.django_db(transaction=True)
def test_of_two_who_pause_at_once_one_does_it() -> None:
    row, done = made(), []

    def press(by: str) -> None:
        try:
            done.extend(pause([row.pk], by).done)
        finally:
            connections.close_all()

    both = [threading.Thread(target=press, args=(by,)) for by in ("ann", "bob")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert done == ["mine"]
    assert len(acts()) == 1


def test_a_pause_that_is_rolled_back_leaves_no_trace() -> None:
    row = made()
    with transaction.atomic():
        pause([row.pk], "ann")
        transaction.set_rollback(True)
    assert fresh(row).enabled
    assert acts() == []


# --- run now ---


def test_a_run_by_hand_enqueues_the_job_as_the_row_says() -> None:
    row = made(queue="heavy", priority=7, headers='{"trace": "abc"}', kwargs="{}", expire_seconds=60)
    job = Job.objects.get(id=run_now(row.pk, "ann", "A test"))
    headers = loads(job.envelope)["headers"]
    assert (job.task, job.queue, job.priority, job.schedule, job.state) == (ADD, "heavy", 7, "mine", "queued")
    assert loads(job.body)[:2] == [[1, 2], {}]
    assert (headers["trace"], headers["periodic_task_name"]) == ("abc", "mine")
    assert timedelta(seconds=50) < job.expires_at - job.created_at < timedelta(seconds=70)
    tick = ScheduleTick.objects.get(schedule=row)
    assert (tick.outcome, tick.by, tick.job_id, tick.at) == ("run", "ann", job.id, tick.decided_at)
    assert headers["tick"] == tick.at.isoformat()
    assert acts() == [("ann", "run", "mine", "A test")]


def test_an_end_is_also_the_end_of_the_job_and_no_clock_of_this_host_is_asked(caplog: Any) -> None:
    end = timezone.now() + timedelta(hours=1)
    row = made(expires=end)
    assert Job.objects.get(id=run_now(row.pk, "ann")).expires_at == end
    long_ago = timezone.now() - timedelta(hours=1)
    with collecting():
        late = send(row, long_ago, long_ago)
        row.expires, row.expire_seconds = None, 60
        expired = send(row, long_ago, long_ago)
    assert Job.objects.get(id=late).expires_at == end
    assert Job.objects.get(id=expired).expires_at == long_ago + timedelta(seconds=60)
    assert "expiration" not in caplog.text


def test_a_job_may_start_later_and_expires_later_then() -> None:
    row, at = made(expire_seconds=60), timezone.now()
    job = Job.objects.get(id=send(row, at, at, at + timedelta(hours=1)))
    assert (job.state, job.run_at) == ("scheduled", at + timedelta(hours=1))
    assert job.expires_at == job.run_at + timedelta(seconds=60)


def test_one_that_has_ended_can_be_run_by_hand() -> None:
    row = made()
    PeriodicTask.objects.filter(pk=row.pk).update(expires=LONG_AGO)
    assert Job.objects.get(id=run_now(row.pk, "ann")).expires_at is None
    assert fresh(row).expires == LONG_AGO


def test_each_press_is_a_job_and_a_disabled_schedule_can_be_run() -> None:
    row = made(enabled=False)
    assert run_now(row.pk, "ann") != run_now(row.pk, "ann")
    assert ScheduleTick.objects.filter(schedule=row).count() == 2
    assert not fresh(row).enabled


def test_a_broken_schedule_is_not_run() -> None:
    row = made()
    PeriodicTask.objects.filter(pk=row.pk).update(queue="nowhere", args="[1")
    with pytest.raises(ScheduleRefused) as refused:
        run_now(row.pk, "ann")
    assert "mine can't be run" in str(refused.value)
    assert [fault.field for fault in refused.value.faults] == ["queue", "args"]
    assert not Job.objects.exists()
    assert not ScheduleTick.objects.exists()


def test_a_priority_of_another_broker_is_no_hindrance() -> None:
    row = made()
    PeriodicTask.objects.filter(pk=row.pk).update(priority=200)
    assert Job.objects.get(id=run_now(row.pk, "ann")).priority == 9
    pause([row.pk], "ann")
    assert resume([row.pk], "ann").done == ["mine"]


def test_a_run_that_is_rolled_back_leaves_neither_job_nor_tick() -> None:
    row = made()
    with transaction.atomic():
        run_now(row.pk, "ann")
        transaction.set_rollback(True)
    assert (Job.objects.count(), ScheduleTick.objects.count()) == (0, 0)


def test_a_schedule_that_is_gone_is_not_run() -> None:
    with pytest.raises(UnknownSchedule):
        run_now(987_654, "ann")


# --- duplicate ---


def test_a_duplicate_is_a_disabled_copy_with_the_policy_and_without_the_past() -> None:
    row = made(queue="heavy", description="Ours")
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=LONG_AGO, total_run_count=9)
    SchedulePolicy.objects.create(schedule=row, missed=Missed.SKIP, paused_at=LONG_AGO, paused_by="ann")
    copy = fresh(duplicate(row.pk, "bob", "twin"))
    assert (copy.task, copy.args, copy.queue, copy.description, copy.interval) == (
        ADD, "[1, 2]", "heavy", "Ours", row.interval
    )  # fmt: skip
    assert (copy.enabled, copy.last_run_at, copy.total_run_count) == (False, None, 0)
    assert (copy.policy.missed, copy.policy.paused_at, copy.policy.paused_by) == (Missed.SKIP, None, "")
    assert fresh(row).enabled
    assert Activity.objects.get(action="duplicate").facts == {"of": "mine"}


@pytest.mark.parametrize("name", ["", "mine", "x" * 201])
def test_a_duplicate_needs_a_name_of_its_own(name: str) -> None:
    row = made()
    with pytest.raises(NameTaken):
        duplicate(row.pk, "ann", name)
    assert PeriodicTask.objects.filter(task=ADD).count() == 1


def test_a_schedule_of_a_zone_that_nobody_knows_can_be_paused() -> None:
    row = PeriodicTask.objects.get(name="daily-cleanup")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = 'Europe/Atlantis'")
    assert pause([row.pk], "ann").done == ["daily-cleanup"]
    assert "Atlantis" in json.dumps(resume([row.pk], "ann").refused)
