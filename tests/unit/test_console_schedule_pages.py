"""The list of schedules, the page of one, and what is pressed there."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import FieldDoesNotExist
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs import activity
from jobs.console.schedules.history import last_ticks
from jobs.console.schedules.listing import NamedSchedules
from jobs.models import Activity, Job, Lease, SchedulePolicy, ScheduleStanding, ScheduleTick
from jobs.schedules.preview import words
from jobs.states import State
from tests.support.deaths import die, posted
from tests.support.people import browser
from tests.support.schedule_forms import PAGE, edited, every_five_minutes

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return browser("admin")


@pytest.fixture
def schedule() -> PeriodicTask:
    return every_five_minutes()


def listed(client: Client, **query: Any) -> str:
    answer = client.get(reverse(f"{PAGE}_changelist"), query)
    assert answer.status_code == 200
    return answer.content.decode()


def page(client: Client, row: PeriodicTask) -> str:
    answer = client.get(reverse(f"{PAGE}_change", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def press(client: Client, action: str, *rows: PeriodicTask, **more: Any) -> str:
    """What is said after the action."""
    data = {"action": action, ACTION_CHECKBOX_NAME: [row.pk for row in rows], **more}
    answer = client.post(reverse(f"{PAGE}_changelist"), data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def standing(row: PeriodicTask, **columns: Any) -> None:
    now = timezone.now()
    given = {"name": row.name, "anchor": now, "position": now, "armed_at": now, **columns}
    ScheduleStanding.objects.update_or_create(pk=row.pk, defaults=given)


def tick(row: PeriodicTask, minutes_ago: float, **columns: Any) -> ScheduleTick:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    given = {"at": at, "decided_at": at + timedelta(seconds=0.25), "outcome": "run", **columns}
    return ScheduleTick.objects.create(schedule=row, **given)


# --- the list ---------------------------------------------------------------------------------------


def test_a_schedule_says_when_in_the_words_of_the_api(admin: Client) -> None:
    hourly = CrontabSchedule.objects.create(minute="0", hour="9-17")
    row = PeriodicTask.objects.create(name="hourly", task="check_health", crontab=hourly)
    assert words(row) in listed(admin)


def test_the_list_tells_each_state_in_colour_icon_and_word(admin: Client) -> None:
    soon = timezone.now() + timedelta(hours=1)
    names = ("fine", "late", "broken", "paused", "until", "off")
    rows = {name: every_five_minutes(name) for name in names}
    for row in rows.values():
        standing(row, next_tick=soon)
    standing(rows["late"], next_tick=timezone.now() - timedelta(hours=1))
    standing(rows["broken"], broken="No timing.", broken_at=timezone.now(), next_tick=None)
    PeriodicTask.objects.filter(name__in=("paused", "until", "off")).update(enabled=False)
    for name, end in (("paused", None), ("until", soon)):
        note = {"paused_at": timezone.now(), "paused_by": "ada", "pause_reason": "for lunch", "resume_at": end}
        SchedulePolicy.objects.create(pk=rows[name].pk, **note)
    html = listed(admin)
    for tone, word in (("good", "Enabled"), ("bad", "Late"), ("bad", "Broken"), ("warn", "Paused"), ("", "Disabled")):
        assert re.search(rf'<span class="badge {tone}"><span aria-hidden="true">.</span> {word}', html), word
    assert html.count("ada: for lunch") >= 2
    assert "Paused until" in html
    assert "No timing." in html
    found = {
        "enabled": names[:3],
        "late": ["late"],
        "broken": ["broken"],
        "paused": ["paused", "until"],
        "off": ["off"],
    }
    for state, expected in found.items():
        shown = admin.get(reverse(f"{PAGE}_changelist"), {"state": state})
        assert {row.name for row in shown.context["cl"].result_list} & set(names) == set(expected), state


def test_the_words_of_the_list_leave_the_model_knowing_its_policy_and_standing() -> None:
    apps.clear_cache()  # as in a process whose first page is the list
    ours = NamedSchedules(PeriodicTask._meta)
    with pytest.raises(FieldDoesNotExist):
        ours.get_field("no column")
    assert {"policy", "standing"} <= {related.name for related in PeriodicTask._meta.related_objects}
    assert (ours.verbose_name, ours.model_name) == ("schedule", "periodictask")


def test_a_schedule_is_found_by_part_of_its_name_or_task(admin: Client) -> None:
    every_five_minutes("night shift")
    every_five_minutes("other", task="cleanup_old_data")
    assert "night shift" in listed(admin, q="shift")
    assert "other" not in listed(admin, q="shift")
    assert "other" in listed(admin, q="cleanup_old")


def test_the_banner_says_that_nothing_will_fire_without_a_leading_beat(admin: Client, schedule: PeriodicTask) -> None:
    said = "Beat is not running: nothing will fire"
    assert said in listed(admin)
    assert said in page(admin, schedule)
    Lease.objects.update_or_create(
        name="beat", defaults={"holder": "a", "until": timezone.now() + timedelta(minutes=1)}
    )
    assert said not in listed(admin)
    assert said not in page(admin, schedule)


def test_the_strip_shows_the_last_twenty_ticks_the_newest_on_the_right(admin: Client, schedule: PeriodicTask) -> None:
    for n in range(25):
        tick(schedule, n + 1, job_id=posted())
    Job.objects.update(state=State.SUCCEEDED)
    job_id = posted()
    die(job_id)
    tick(schedule, 0.5, job_id=job_id)
    tick(schedule, 0.2, outcome="skipped", why="overlap", job_id=job_id)
    [strip] = re.findall(r'class="strip".*?</span>', listed(admin, q="health"))
    assert re.findall(r'<i class="(\w+)"', strip) == [*["good"] * 18, "bad", "skipped"]
    assert "Last 20 of at most 20 ticks: 18 succeeded, 1 failed" in strip


def test_the_last_ticks_of_many_come_in_two_statements_and_each_by_its_index(schedule: PeriodicTask) -> None:
    rows = [every_five_minutes(f"s{n}") for n in range(50)]
    ScheduleTick.objects.bulk_create(
        ScheduleTick(schedule=row, at=at, decided_at=at, outcome="run", job_id=f"j{row.pk}-{n}")
        for row in rows
        for n in range(30)
        for at in [timezone.now() - timedelta(minutes=n)]
    )
    with CaptureQueriesContext(connection) as seen:
        found = last_ticks([row.pk for row in rows])
    assert len(seen) == 2
    assert {len(ticks) for ticks in found.values()} == {20}
    assert [kept.tick.at for kept in found[rows[0].pk]] == sorted(
        (kept.tick.at for kept in found[rows[0].pk]), reverse=True
    )


@pytest.mark.parametrize("number", [3, 120])
def test_the_pages_ask_few_questions_however_many_schedules_there_are(admin: Client, number: int) -> None:
    rows = [every_five_minutes(f"many {n}") for n in range(number)]
    for row in rows[:5]:
        standing(row, next_tick=timezone.now() - timedelta(hours=1))
        tick(row, 1, job_id=posted())
    for address in (
        reverse(f"{PAGE}_changelist"),
        f"{reverse(f'{PAGE}_changelist')}?state=late&q=many",
        reverse(f"{PAGE}_change", args=[rows[0].pk]),
        reverse(f"{PAGE}_edit", args=[rows[0].pk]),
    ):
        admin.get(address)  # caches of content types are filled
        with CaptureQueriesContext(connection) as seen:
            admin.get(address)
        asked = [query["sql"] for query in seen if "SAVEPOINT" not in query["sql"]]
        assert len(asked) <= 12, "\n".join(asked)
        counts = [sql for sql in asked if "COUNT(" in sql]
        assert all("LIMIT" in sql for sql in counts), counts


def test_one_row_with_a_zone_that_nobody_knows_does_not_hide_the_others(admin: Client) -> None:
    cron = CrontabSchedule.objects.create(minute="0")
    bad = PeriodicTask.objects.create(name="bad zone", task="check_health", crontab=cron)
    with connection.cursor() as cursor:  # the field itself would refuse it
        cursor.execute(
            "UPDATE django_celery_beat_crontabschedule SET timezone = 'Mars/Olympus' WHERE id = %s", [cron.pk]
        )
    every_five_minutes("good one")
    html = listed(admin)
    assert "bad zone" in html
    assert "good one" in html
    assert "Mars/Olympus" in page(admin, bad)
    edit = admin.get(reverse(f"{PAGE}_edit", args=[bad.pk]))
    assert '<option value="Mars/Olympus" selected>' in edit.content.decode()


def test_the_crontabs_with_a_zone_that_nobody_knows_can_be_listed_mended_and_deleted(admin: Client) -> None:
    line = CrontabSchedule.objects.create(minute="7")
    PeriodicTask.objects.create(name="of it", task="check_health", crontab=line)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_celery_beat_crontabschedule SET timezone = 'Mars/Olympus' WHERE id = %s", [line.pk]
        )
    name = "admin:django_celery_beat_crontabschedule"
    assert "Mars/Olympus" in admin.get(reverse(f"{name}_changelist")).content.decode()
    mended = {name: getattr(line, name) for name in ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")}
    assert admin.get(reverse(f"{name}_change", args=[line.pk])).status_code == 200
    assert "Schedule: of it" in admin.get(reverse(f"{name}_delete", args=[line.pk])).content.decode()
    inline = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    admin.post(reverse(f"{name}_change", args=[line.pk]), {**mended, **inline, "timezone": "Europe/Paris"})
    line.refresh_from_db()
    assert str(line.timezone) == "Europe/Paris"
    admin.post(reverse(f"{name}_delete", args=[line.pk]), {"post": "yes"})
    assert not CrontabSchedule.objects.filter(pk=line.pk).exists()
    assert Activity.objects.filter(action="delete", key="of it").exists()


def test_a_list_without_rows_says_why_and_what_to_do(admin: Client, schedule: PeriodicTask) -> None:
    for query in ({"q": "zzz"}, {"state": "broken"}):
        html = listed(admin, **query)
        assert "No schedule matches." in html
        assert "Show all</a>" in html
    assert "No schedule matches." not in listed(admin)
    PeriodicTask.objects.all().delete()
    assert "No schedule yet." in listed(admin)


def test_how_late_one_is_stands_in_minutes_and_hours(admin: Client, schedule: PeriodicTask) -> None:
    standing(schedule, next_tick=timezone.now() - timedelta(seconds=1111))
    assert "It was due 18 min ago." in listed(admin)
    assert "It was due 18 min ago." in page(admin, schedule)


def test_a_schedule_without_a_timing_can_still_be_opened_and_mended(admin: Client) -> None:
    PeriodicTask.objects.bulk_create([PeriodicTask(name="bare", task="check_health")])
    row = PeriodicTask.objects.get(name="bare")
    assert "no timing" in page(admin, row)
    assert admin.get(reverse(f"{PAGE}_edit", args=[row.pk])).status_code == 200


# --- the page of one --------------------------------------------------------------------------------


def test_the_page_tells_each_tick_with_outcome_lateness_duration_and_job(admin: Client, schedule: PeriodicTask) -> None:
    done = posted()
    begun = timezone.now() - timedelta(minutes=3)
    Job.objects.filter(pk=done).update(
        state=State.SUCCEEDED, started_at=begun, finished_at=begun + timedelta(seconds=17)
    )
    tick(schedule, 3, job_id=done)
    tick(schedule, 2, outcome="skipped", why="missed", count=12, first_at=begun - timedelta(hours=1))
    tick(schedule, 1, by="ada", job_id="pruned-1")
    html = page(admin, schedule)
    assert reverse("admin:jobs_job_change", args=[done]) in html
    assert "0.25 s" in html
    assert "17 s" in html
    assert "Beat was down, and missed ticks are skipped" in html
    assert "(12 ticks)" in html
    assert "By hand, by ada" in html
    assert "pruned" in html


def test_the_page_tells_why_it_is_broken_or_paused(admin: Client, schedule: PeriodicTask) -> None:
    standing(schedule, broken="The task has gone.", broken_at=timezone.now())
    assert "The task has gone." in page(admin, schedule)
    press(admin, "pause", schedule, answered="1", reason="for <lunch>", until="4")
    html = page(admin, schedule)
    assert "admin: for &lt;lunch&gt;" in html
    assert "Resumes" in html


def test_the_history_tells_before_and_after(admin: Client, schedule: PeriodicTask) -> None:
    activity.record("ada", "edit", "schedule", "health", "asked for", changed={"overlap": ["allow", "skip"]})
    html = page(admin, schedule)
    assert "<strong>ada</strong> edit" in html
    assert "<del>allow</del> <ins>skip</ins>" in html
    assert "asked for" in html


def test_the_history_goes_on_under_the_names_before_and_takes_no_others(admin: Client) -> None:
    row = every_five_minutes("first")
    edited(admin, row, description="as first")
    edited(admin, row, name="second")
    other = every_five_minutes("first")
    edited(admin, other, description="of the other")
    row.name = "second"
    edited(admin, row, name="third")
    html = page(admin, PeriodicTask.objects.get(pk=row.pk))
    assert html.index("third</ins>") < html.index("second</ins>") < html.index("as first</ins>")
    assert "of the other" not in html
    assert "rename to second" in page(admin, other)


def test_no_page_holds_inline_script_or_style(admin: Client, schedule: PeriodicTask) -> None:
    tick(schedule, 1)
    pages = [reverse(f"{PAGE}_{name}", args=[schedule.pk]) for name in ("change", "edit", "ticks", "delete")]
    for address in (*pages, reverse(f"{PAGE}_add"), reverse(f"{PAGE}_changelist")):
        answer = admin.get(address)
        html = answer.content.decode()
        assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", html) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=", html) == []
        assert "script-src 'self'; style-src 'self'" in answer["Content-Security-Policy"]


def test_the_strict_policy_is_sent_with_the_login_too_and_not_with_the_api() -> None:
    client = Client()
    assert "script-src 'self'" in client.get(reverse("admin:login"))["Content-Security-Policy"]
    assert "Content-Security-Policy" not in client.get("/healthz").headers


# --- pressing ---------------------------------------------------------------------------------------


def test_a_pause_asks_for_a_reason_first(admin: Client, schedule: PeriodicTask) -> None:
    html = press(admin, "pause", schedule)
    assert "Pause 1 schedule" in html
    assert "health" in html
    assert "This field is required" in press(admin, "pause", schedule, answered="1")
    schedule.refresh_from_db()
    assert schedule.enabled


def test_schedules_are_paused_and_resumed_together_and_leave_a_trace(admin: Client, schedule: PeriodicTask) -> None:
    other = every_five_minutes("other")
    assert "Paused health, other." in press(admin, "pause", schedule, other, answered="1", reason="move")
    assert set(PeriodicTask.objects.filter(name__in=["health", "other"]).values_list("enabled", flat=True)) == {False}
    assert set(Activity.objects.values_list("action", "key", "reason")) == {
        ("pause", "health", "move"),
        ("pause", "other", "move"),
    }
    assert "Nothing changed, already off: health." in press(admin, "pause", schedule, answered="1", reason="again")
    assert "Resumed health." in press(admin, "resume", schedule)
    assert "Nothing changed, already enabled: health." in press(admin, "resume", schedule)


def test_a_pause_may_end_by_itself(admin: Client, schedule: PeriodicTask) -> None:
    told = {"answered": "1", "reason": "x", "until": "at"}
    press(admin, "pause", schedule, **told, resume_at="2031-01-01T09:00", zone="Asia/Tokyo")
    assert SchedulePolicy.objects.get().resume_at.isoformat() == "2031-01-01T00:00:00+00:00"  # type: ignore[union-attr]
    press(admin, "resume", schedule)
    html = press(admin, "pause", schedule, **told)
    assert "Say when." in html
    html = press(admin, "pause", schedule, **{**told, "reason": "the bank"}, resume_at="2020-01-01T09:00")
    assert re.search(r'id="id_resume_at_error">[^<]*ended already', html)
    assert 'value="the bank"' in html


def test_a_press_that_asks_first_keeps_to_the_list_or_the_page_it_came_from(
    admin: Client, schedule: PeriodicTask
) -> None:
    filtered = reverse(f"{PAGE}_changelist") + "?q=heal"
    data = {"action": "pause", ACTION_CHECKBOX_NAME: schedule.pk}
    html = admin.post(filtered, data).content.decode()
    assert f'<form method="post" action="{filtered}">' in html
    assert f'href="{filtered}">Go back' in html
    assert admin.post(filtered, {**data, "answered": "1", "reason": "x"})["Location"] == filtered
    of_one = reverse(f"{PAGE}_change", args=[schedule.pk])
    html = admin.post(reverse(f"{PAGE}_changelist"), {**data, "from_page": schedule.pk}).content.decode()
    assert f'href="{of_one}">Go back' in html


def test_a_broken_schedule_is_not_resumed_and_the_reason_is_said(admin: Client, schedule: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=schedule.pk).update(task="nobody.knows", enabled=False)
    assert "nobody.knows" in press(admin, "resume", schedule)
    assert not PeriodicTask.objects.get(pk=schedule.pk).enabled


def test_a_schedule_that_is_run_by_hand_posts_its_job_and_links_to_it(admin: Client, schedule: PeriodicTask) -> None:
    html = press(admin, "run_now", schedule, reason="asked by ops")
    job = Job.objects.get()
    assert "Queued 1 job" in html
    assert reverse("admin:jobs_job_change", args=[job.pk]) in html
    assert (job.task, job.schedule) == ("check_health", "health")
    assert ScheduleTick.objects.get().by == "admin"
    assert Activity.objects.get().reason == "asked by ops"


def test_one_that_cant_run_does_not_keep_the_others_from_it(admin: Client, schedule: PeriodicTask) -> None:
    bad = every_five_minutes("bad")
    PeriodicTask.objects.filter(pk=bad.pk).update(task="nobody.knows")
    html = press(admin, "run_now", schedule, bad)
    assert "Queued 1 job" in html
    assert "nobody.knows" in html


def test_a_duplicate_asks_for_its_name_and_leads_to_its_form(admin: Client, schedule: PeriodicTask) -> None:
    assert 'value="health copy"' in press(admin, "duplicate", schedule)
    assert "Another schedule is named" in press(admin, "duplicate", schedule, answered="1", name="health")
    assert "Edit twin" in press(admin, "duplicate", schedule, answered="1", name="twin")
    twin = PeriodicTask.objects.get(name="twin")
    assert not twin.enabled
    assert twin.interval == schedule.interval


def test_several_are_duplicated_under_names_that_are_free(admin: Client, schedule: PeriodicTask) -> None:
    other = every_five_minutes("health copy")
    press(admin, "duplicate", schedule, other)
    names = set(PeriodicTask.objects.values_list("name", flat=True))
    assert {"health copy 2", "health copy copy"} <= names


def test_a_deleted_schedule_takes_its_ticks_along_and_leaves_a_trace(admin: Client, schedule: PeriodicTask) -> None:
    standing(schedule)
    tick(schedule, 1)
    html = press(admin, "delete_selected", schedule)
    assert "health" in html
    assert ScheduleTick.objects.exists()
    press(admin, "delete_selected", schedule, post="yes")
    assert not PeriodicTask.objects.filter(name="health").exists()
    assert not ScheduleTick.objects.exists()
    assert Activity.objects.filter(action="delete", key="health").exists()


def test_a_button_leads_back_to_its_page(admin: Client, schedule: PeriodicTask) -> None:
    answer = admin.post(
        reverse(f"{PAGE}_changelist"),
        {"action": "run_now", ACTION_CHECKBOX_NAME: schedule.pk, "from_page": schedule.pk},
    )
    assert answer["Location"] == reverse(f"{PAGE}_change", args=[schedule.pk])
