"""How schedules are doing, in one reading for every door."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, IntervalSchedule, PeriodicTask

from jobs.conf import conf
from jobs.models import ScheduleStanding, ScheduleTick
from jobs.policies import Outcome, Why
from jobs.schedules.outlook import outlook, outlooks
from jobs.schedules.pressing import pause, run_now
from jobs.schedules.rows import named, schedule_rows
from tests.support.schedules import kept_past_every_guard

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = timedelta(hours=1)


def made(name: str = "mine", **columns: Any) -> PeriodicTask:
    every = {"interval": IntervalSchedule(every=60, period="seconds")}
    return kept_past_every_guard(PeriodicTask(**{"name": name, "task": "check_health", **every, **columns}))


def stands(row: PeriodicTask, **columns: Any) -> None:
    given = {"anchor": NOW, "position": NOW, "armed_at": NOW, "next_tick": timezone.now() + HOUR, **columns}
    ScheduleStanding.objects.create(schedule=row, name=row.name, **given)


def ticked(row: PeriodicTask, at: Any, **columns: Any) -> None:
    given = {"decided_at": at, "outcome": Outcome.RUN, **columns}
    ScheduleTick.objects.create(schedule=row, at=at, **given)


def state(name: str = "mine") -> tuple[str, str]:
    found = outlook(named(name))
    return found.state.value, found.reason


def test_one_that_beat_keeps_is_enabled_and_says_when() -> None:
    stands(made())
    found = outlook(named("mine"))
    assert (found.state, found.reason, found.late_by) == ("enabled", "", None)
    assert found.next_tick > timezone.now()


def test_one_that_beat_has_not_read_yet_tells_its_next_tick_all_the_same() -> None:
    made()
    assert outlook(named("mine")).next_tick > timezone.now()


def test_a_tick_that_should_have_come_makes_it_late() -> None:
    stands(made(), next_tick=timezone.now() - HOUR)
    found = outlook(named("mine"))
    assert (found.state, found.late_by > 3000) == ("late", True)
    ScheduleStanding.objects.update(next_tick=timezone.now() - timedelta(seconds=conf().late_after / 2))
    assert outlook(named("mine")).state == "enabled"


def test_a_broken_one_says_why() -> None:
    stands(made(), broken="task: No loaded module.", next_tick=None)
    assert state() == ("broken", "task: No loaded module.")


def test_one_that_waits_for_a_job_says_so() -> None:
    stands(made(), waiting_tick=NOW)
    assert state() == ("enabled", "Waits for the job of an earlier tick to end.")


def test_a_paused_one_says_who_and_why_and_another_is_only_disabled() -> None:
    pause([made().pk], "ann", "The provider is down")
    assert state() == ("paused", "ann: The provider is down")
    pause([made("other").pk], "ann", resume_at=timezone.now() + HOUR)
    assert state("other") == ("paused until", "ann")
    made("off", enabled=False)
    assert state("off") == ("disabled", "")


def test_what_has_run_its_one_time_is_done_and_what_is_past_its_end_has_ended() -> None:
    once = made("once", enabled=False, one_off=True)
    ticked(once, NOW)
    assert state("once")[0] == "done"
    made("over", enabled=False, expires=NOW - HOUR)
    assert state("over")[0] == "ended"
    made("running out", expires=NOW - HOUR)
    assert state("running out")[0] == "ended"


def test_a_one_off_that_a_person_only_ran_by_hand_is_not_done() -> None:
    once = made("once", enabled=False, one_off=True)
    run_now(once.pk, "ann")
    assert state("once")[0] == "disabled"


def test_a_single_time_that_has_passed_unread_has_not_ended() -> None:
    made("once", interval=None, clocked=ClockedSchedule(clocked_time=NOW - HOUR), one_off=True)
    assert state("once") == ("enabled", "Beat has not read it yet.")


def test_the_last_tick_comes_with_its_outcome_lateness_and_job() -> None:
    row = made()
    ticked(row, NOW - 3 * HOUR)
    assert outlook(named("mine")).last.outcome == Outcome.RUN
    ticked(row, NOW - HOUR, outcome=Outcome.SKIPPED, why=Why.MISSED, count=4, decided_at=NOW)
    last = outlook(named("mine")).last
    assert (last.outcome, last.why, last.count, last.lateness, last.by) == ("skipped", "missed", 4, 3600, "")
    job = run_now(row.pk, "ann")
    last = outlook(named("mine")).last
    assert (last.outcome, last.job_id, last.job_state, last.by) == ("run", job, "queued", "ann")


def test_many_take_as_few_statements_as_one(django_assert_num_queries: Any) -> None:
    rows = [made(f"mine {number}") for number in range(30)]
    for row in rows:
        stands(row)
        ticked(row, NOW, job_id="gone")
    with django_assert_num_queries(3 if _tells_its_own_time() else 4):
        found = outlooks(list(schedule_rows().filter(task="check_health")))
    assert len(found) >= 30


def _tells_its_own_time() -> bool:
    """PostgreSQL is asked for it."""
    return connection.vendor != "postgresql"
