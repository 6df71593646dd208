"""The one form of a schedule: what it saves, what it leaves alone, and what it refuses."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from jobs.models import Activity, SchedulePolicy
from tests.support.people import browser
from tests.support.schedule_forms import (
    PAGE,
    QUARTERS,
    add,
    added,
    edit,
    edited,
    errors,
    every_five_minutes,
    previewed,
    said,
)

pytestmark = pytest.mark.django_db
NOON = "2030-06-01T12:00:00"


@pytest.fixture
def admin() -> Client:
    return browser("admin")


# --- each kind of timing ----------------------------------------------------------------------------


def test_an_interval_is_saved(admin: Client) -> None:
    row = added(admin, every="90", period="seconds")
    assert (row.interval.every, row.interval.period, row.enabled) == (90, "seconds", True)


def test_a_calendar_line_is_saved_with_its_zone(admin: Client) -> None:
    cron = added(admin, **QUARTERS).crontab
    assert (cron.minute, cron.hour, cron.day_of_week, str(cron.timezone)) == ("*/15", "8-18", "1-5", "Europe/Paris")


def test_a_time_is_read_in_the_chosen_zone_and_happens_once(admin: Client) -> None:
    row = added(admin, kind="clocked", once_at=NOON, zone="Europe/Paris")
    assert row.clocked.clocked_time == datetime(2030, 6, 1, 10, tzinfo=UTC)
    assert row.one_off


def test_an_event_of_the_sun_is_saved(admin: Client) -> None:
    row = added(admin, kind="solar", event="sunset", latitude="48.85", longitude="2.35")
    assert (row.solar.event, float(row.solar.latitude), float(row.solar.longitude)) == ("sunset", 48.85, 2.35)


def test_a_line_to_start_from_fills_the_fields_without_javascript(admin: Client) -> None:
    cron = added(admin, kind="crontab", preset="0 9 * * 1").crontab
    assert (cron.minute, cron.hour, cron.day_of_week) == ("0", "9", "1")


def test_what_was_typed_for_another_kind_does_not_count(admin: Client) -> None:
    row = added(admin, every="0", minute="99", latitude="north", kind="clocked", once_at=NOON)
    assert row.clocked
    assert (row.interval, row.crontab, row.solar) == (None, None, None)


# --- shared timings ---------------------------------------------------------------------------------


def test_an_edit_leaves_the_timing_that_others_share(admin: Client) -> None:
    one, other = every_five_minutes("one"), every_five_minutes("other")
    edited(admin, one, every="7")
    other.refresh_from_db()
    assert (other.interval.every, other.interval.period) == (5, "minutes")
    assert PeriodicTask.objects.get(name="one").interval.every == 7


def test_an_existing_timing_is_taken_again(admin: Client) -> None:
    shared = every_five_minutes().interval
    assert added(admin).interval == shared
    assert added(admin, **QUARTERS, name="a").crontab == added(admin, **QUARTERS, name="b").crontab
    assert added(admin, kind="clocked", once_at=NOON, name="c").clocked == ClockedSchedule.objects.get()


def test_of_two_timings_that_are_the_same_an_edit_keeps_its_own(admin: Client) -> None:
    first = IntervalSchedule.objects.create(every=11, period="hours")
    second = IntervalSchedule.objects.create(every=11, period="hours")
    row = PeriodicTask.objects.create(name="own", task="check_health", interval=second)
    assert edited(admin, row, every="11", period="hours", description="new").interval == second != first


def test_another_kind_takes_the_place_of_the_one_before(admin: Client) -> None:
    row = edited(admin, every_five_minutes(), **QUARTERS)
    assert row.interval is None
    assert row.crontab.minute == "*/15"


# --- filled in --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timing", "shown"),
    [
        ({"interval": ("every", 5)}, {"kind": "interval", "every": 5, "period": "hours"}),
        ({"crontab": ("minute", "7")}, {"kind": "crontab", "minute": "7", "zone": "Asia/Tokyo"}),
        ({"clocked": None}, {"kind": "clocked", "once_at": "2030-06-01T12:00:00"}),
        ({"solar": None}, {"kind": "solar", "event": "dawn_civil"}),
    ],
)
def test_the_present_timing_is_filled_in(admin: Client, timing: dict[str, Any], shown: dict[str, Any]) -> None:
    rows = {
        "interval": lambda: IntervalSchedule.objects.create(every=5, period="hours"),
        "crontab": lambda: CrontabSchedule.objects.create(minute="7", timezone="Asia/Tokyo"),
        "clocked": lambda: ClockedSchedule.objects.create(clocked_time=datetime(2030, 6, 1, 12, tzinfo=UTC)),
        "solar": lambda: SolarSchedule.objects.create(event="dawn_civil", latitude=1, longitude=2),
    }
    [kind] = timing
    row = PeriodicTask.objects.create(name="x", task="check_health", one_off=True, **{kind: rows[kind]()})
    form = admin.get(reverse(f"{PAGE}_edit", args=[row.pk])).context["form"]
    assert {name: form.timing[name].value() for name in shown} == shown


def test_saving_what_is_shown_changes_nothing(admin: Client) -> None:
    row = every_five_minutes(
        task="send_email",
        args='["a@example.com"]',
        kwargs='{"subject":"s",  "body": "line\\nline"}',
        headers='{"trace":  "abc"}',
        start_time=datetime(2030, 10, 27, 1, 30, 0, 123456, tzinfo=UTC),
        priority=3,
        queue="emails",
        description="why",
        last_run_at=timezone.now(),
    )
    SchedulePolicy.objects.create(pk=row.pk, missed="skip", max_lateness=30, overlap="queue", jitter=5, pause_after=4)
    before = PeriodicTask.objects.filter(pk=row.pk).values().get()
    form = admin.get(reverse(f"{PAGE}_edit", args=[row.pk])).context["form"]
    sent = {bound.html_name: _as_sent(bound.value()) for part in form.parts for bound in part}
    answer = admin.post(reverse(f"{PAGE}_edit", args=[row.pk]), {k: v for k, v in sent.items() if v is not None})
    assert answer.status_code == 302, errors(answer)
    after = PeriodicTask.objects.filter(pk=row.pk).values().get()
    assert {**before, "date_changed": None} == {**after, "date_changed": None}
    assert SchedulePolicy.objects.values_list("missed", "max_lateness", "overlap", "jitter", "pause_after").get() == (
        *("skip", 30, "queue", 5, 4),
    )
    assert Activity.objects.get().facts == {"changed": {}}


def _as_sent(value: Any) -> Any:
    """As a browser sends a field: nothing of an unticked box."""
    return None if value in (None, False) else str(value)


def test_what_another_person_saved_meanwhile_is_not_written_over_unseen(admin: Client) -> None:
    row = every_five_minutes()
    seen = admin.get(reverse(f"{PAGE}_edit", args=[row.pk])).context["form"].seen
    edited(admin, row, seen=seen, description="of the other")
    refused = edit(admin, row, seen=seen, description="mine")
    assert "since this form was opened" in errors(refused)["about"][0]
    assert PeriodicTask.objects.get(pk=row.pk).description == "of the other"
    again = refused.context["form"].seen
    assert edited(admin, row, seen=again, description="mine").description == "mine"


def test_an_edit_keeps_what_beat_counts_and_a_pause_that_came_between(admin: Client) -> None:
    row = every_five_minutes(last_run_at=timezone.now(), total_run_count=7)
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
    row = edited(admin, row, description="new")
    assert (row.enabled, row.total_run_count, row.description) == (False, 7, "new")
    assert row.last_run_at is not None


def test_start_and_end_are_read_in_the_zone_of_the_form(admin: Client) -> None:
    row = added(admin, zone="Asia/Tokyo", start_time="2030-01-01T09:00", expires="2030-02-01T09:00:30")
    assert row.start_time == datetime(2030, 1, 1, tzinfo=UTC)
    assert row.expires == datetime(2030, 2, 1, 0, 0, 30, tzinfo=UTC)


def test_policy_and_the_rest_are_saved(admin: Client) -> None:
    more = {"missed": "all", "missed_limit": "3", "overlap": "cancel", "jitter": "20", "pause_after": "5"}
    row = added(admin, **more, queue="heavy", priority="9", expire_seconds="60", headers='{"a": 1}', one_off="on")
    kept = row.policy
    assert (kept.missed, kept.missed_limit, kept.overlap, kept.jitter, kept.pause_after) == ("all", 3, "cancel", 20, 5)
    assert (row.queue, row.priority, row.expire_seconds, row.headers, row.one_off) == ("heavy", 9, 60, '{"a": 1}', True)


@pytest.mark.parametrize("typed", ["", "0", "many"])
def test_a_limit_that_does_not_count_keeps_nothing_from_being_saved(admin: Client, typed: str) -> None:
    assert added(admin, missed="skip", missed_limit=typed).policy.missed_limit == 10
    assert "id_missed_limit" in errors(add(admin, name="other", missed="all", missed_limit=typed))


def test_a_new_schedule_may_wait_until_it_is_resumed(admin: Client) -> None:
    row = said(name="later")
    del row["enabled"]
    admin.post(reverse(f"{PAGE}_add"), row)
    assert not PeriodicTask.objects.get(name="later").enabled


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"name": ""}, "id_name", "required"),
        ({"name": "health"}, "id_name", "Another schedule has this name"),
        ({"task": ""}, "id_task", "required"),
        ({"task": "nobody.knows"}, "id_task", "nobody.knows"),
        ({"task": "celery.backend_cleanup"}, "id_task", "celery.backend_cleanup"),
        ({"queue": "nowhere"}, "id_queue", "nowhere"),
        ({"every": "0"}, "id_every", "greater than or equal to 1"),
        ({"every": ""}, "id_every", "required"),
        ({"kind": "crontab", "minute": "99"}, "id_minute", "99"),
        ({"kind": "crontab", "hour": "every"}, "id_hour", "every"),
        ({"kind": "crontab", "day_of_month": "31", "month_of_year": "2"}, "id_day_of_month", "31"),
        ({"kind": "clocked"}, "id_once_at", "required"),
        ({"kind": "clocked", "once_at": "2027-03-28T02:30", "zone": "Europe/Paris"}, "id_once_at", "skip this time"),
        ({"kind": "solar", "latitude": "95", "longitude": "1"}, "id_latitude", "90"),
        ({"kind": "solar", "longitude": "1"}, "id_latitude", "required"),
        ({"kind": "monthly"}, "id_kind", "monthly"),
        ({"zone": "Mars/Olympus"}, "id_zone", "Mars/Olympus"),
        ({"missed": "all", "missed_limit": "0"}, "id_missed_limit", "greater than or equal to 1"),
        ({"jitter": "-1"}, "id_jitter", "greater than or equal to 0"),
        ({"priority": "10"}, "id_priority", "less than or equal to 9"),
        ({"headers": "[1]"}, "id_headers", "an object"),
        ({"headers": "{"}, "id_headers", "not JSON"),
        ({"start_time": "2030-02-01", "expires": "2030-01-01"}, "id_expires", "before it starts"),
        ({"expires": "2030-01-01", "expire_seconds": "5"}, "id_expire_seconds", "Keep one"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(
    admin: Client, typed: dict[str, Any], field: str, words: str
) -> None:
    every_five_minutes()
    answer = add(admin, **{"name": "new", **typed})
    assert answer.status_code == 200
    assert words in " ".join(errors(answer).get(field, [])), errors(answer)
    assert not PeriodicTask.objects.exclude(name="health").filter(name__in=["new", typed.get("name")]).exists()
    html = answer.content.decode()
    assert 'role="alert"' in html
    assert all(f'id="{field}_error"' in html for field in [field])


def test_what_was_typed_stays_when_something_is_refused(admin: Client) -> None:
    typed = {"name": "kept name", "description": "kept <b>words</b>", "minute": "99", "kind": "crontab"}
    html = add(admin, **typed, task="send_email", arguments__to="half").content.decode()
    for text in ("kept name", "kept &lt;b&gt;words&lt;/b&gt;", 'value="99"', ">\nhalf<"):
        assert text in html


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x" * 5000])
def test_odd_text_is_answered_with_the_form(admin: Client, text: str) -> None:
    sent = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    for field in ("name", "task", "queue", "minute", "zone", "kind", "once_at", "headers", "viewer_zone", "every"):
        answer = add(admin, **{"kind": "crontab", field: sent})
        assert answer.status_code in (200, 302)
        previewed(admin, **{"kind": "crontab", field: sent})


def test_a_task_that_is_not_known_any_more_stays_chosen_and_marked(admin: Client) -> None:
    row = every_five_minutes()
    PeriodicTask.objects.filter(pk=row.pk).update(task="gone.task", enabled=False, queue="gone")
    html = admin.get(reverse(f"{PAGE}_edit", args=[row.pk])).content.decode()
    assert '<option value="gone.task" selected>gone.task (unknown here)</option>' in html
    assert '<option value="gone" selected>gone (unknown here)</option>' in html
    row.refresh_from_db()
    assert edited(admin, row, queue="gone", description="still off").description == "still off"


def test_an_enabled_schedule_of_an_unknown_task_is_refused_beside_the_task(admin: Client) -> None:
    row = every_five_minutes()
    PeriodicTask.objects.filter(pk=row.pk).update(task="gone.task")
    row.refresh_from_db()
    assert "gone.task" in errors(edit(admin, row))["id_task"][0]


def test_plumbing_is_no_choice(admin: Client) -> None:
    form = admin.get(reverse(f"{PAGE}_add")).context["form"]
    names = [name for name, _ in form.about.fields["task"].choices]
    assert "send_email" in names
    assert not [name for name in names if name.startswith("celery.")]


# --- the trace --------------------------------------------------------------------------------------


def test_an_edit_is_recorded_field_by_field(admin: Client) -> None:
    edited(admin, every_five_minutes(), **QUARTERS, overlap="skip")
    act = Activity.objects.get()
    assert (act.by, act.action, act.kind, act.key) == ("admin", "edit", "schedule", "health")
    changed = act.facts["changed"]
    assert changed["timing"] == [
        "Every 5 minutes",
        "Weekdays every 15 min, 08:00 to 18:59, Paris (*/15 8-18 * * 1-5)",
    ]
    assert changed["overlap"] == ["allow", "skip"]
    assert set(changed) == {"timing", "overlap"}


def test_a_new_schedule_is_recorded(admin: Client) -> None:
    added(admin)
    act = Activity.objects.get()
    assert (act.action, act.key) == ("create", "nightly")
    assert act.facts["changed"]["task"] == ["", "check_health"]


def test_a_rename_is_found_under_both_names(admin: Client) -> None:
    edited(admin, every_five_minutes(), name="better")
    assert set(Activity.objects.values_list("action", "key")) == {("edit", "better"), ("rename", "health")}


# --- who may ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["view", "operate"])
def test_only_admins_see_and_send_the_form(role: str) -> None:
    row, person = every_five_minutes(), browser(role)
    for url in (reverse(f"{PAGE}_add"), reverse(f"{PAGE}_edit", args=[row.pk])):
        assert person.get(url).status_code == 403
        assert person.post(url, said()).status_code == 403
    assert PeriodicTask.objects.get(pk=row.pk).date_changed == row.date_changed
    assert not Activity.objects.exists()


def test_fragments_are_for_those_who_may_see_schedules() -> None:
    row = every_five_minutes()
    stranger = User.objects.create_user("stranger", is_staff=True)
    client = Client()
    client.force_login(stranger)
    urls = [reverse(f"{PAGE}_preview"), reverse(f"{PAGE}_preview_of", args=[row.pk])]
    assert [client.post(url, said()).status_code for url in urls] == [403, 403]
    assert client.get(reverse(f"{PAGE}_ticks", args=[row.pk])).status_code == 403
    stranger.user_permissions.add(Permission.objects.get(codename="view_periodictask"))
    assert [client.post(url, said()).status_code for url in urls] == [200, 200]


def test_a_get_of_a_fragment_and_a_post_change_nothing(admin: Client) -> None:
    row = every_five_minutes()
    before = (list(PeriodicTask.objects.values()), IntervalSchedule.objects.count(), SchedulePolicy.objects.count())
    previewed(admin, row, every="9", name="other", overlap="skip")
    assert admin.get(reverse(f"{PAGE}_preview_of", args=[row.pk])).status_code == 405
    admin.get(reverse(f"{PAGE}_edit", args=[row.pk]), said(every="9"))
    admin.get(reverse(f"{PAGE}_add"), said())
    now = (list(PeriodicTask.objects.values()), IntervalSchedule.objects.count(), SchedulePolicy.objects.count())
    assert now == before
    assert not Activity.objects.exists()


def test_the_form_without_the_csrf_token_is_refused() -> None:
    row = every_five_minutes()
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(reverse(f"{PAGE}_edit", args=[row.pk]), said()).status_code == 403
    assert client.post(reverse(f"{PAGE}_preview"), said()).status_code == 403


def test_nobody_finds_a_schedule_that_is_not_there(admin: Client) -> None:
    for page in ("edit", "preview_of", "ticks"):
        for key in ("999999", "x", "a\x00b"):
            url = reverse(f"{PAGE}_{page}", args=[key])
            answer = admin.post(url, said()) if page == "preview_of" else admin.get(url)
            assert answer.status_code == 404


def test_a_time_that_clocks_show_twice_stays_the_second_when_it_was(admin: Client) -> None:
    second = datetime(2030, 10, 27, 1, 30, tzinfo=UTC)  # 02:30 in Paris for the second time
    cron = CrontabSchedule.objects.create(minute="0", timezone="Europe/Paris")
    row = PeriodicTask.objects.create(name="fold", task="check_health", crontab=cron, start_time=second)
    sent = {**QUARTERS, "start_time": "2030-10-27T02:30:00"}
    assert edited(admin, row, **sent).start_time == second
    assert added(admin, **sent, name="new").start_time == second - timedelta(hours=1)


def test_headers_stay_as_they_were_typed(admin: Client) -> None:
    big = json.dumps({"n": 2**70})
    assert added(admin, headers=big).headers == big


@pytest.mark.parametrize("part", [145960, 960, 145000])
def test_a_time_of_a_script_is_shown_so_that_browsers_take_it_and_stays_exact(admin: Client, part: int) -> None:
    ends = datetime(2031, 5, 6, 7, 8, 9, part, tzinfo=UTC)
    row = every_five_minutes(expires=ends)
    shown = admin.get(reverse(f"{PAGE}_edit", args=[row.pk])).context["form"].more["expires"].value()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?", shown)
    assert edited(admin, row, expires=shown).expires == ends
    assert edited(admin, row, expires="2031-05-06T07:08:10").expires == ends.replace(second=10, microsecond=0)


def test_an_error_is_said_once(admin: Client) -> None:
    row = every_five_minutes()
    refused = edit(admin, row, seen="2020-01-01T00:00:00+00:00")
    assert refused.content.decode().count("since this form was opened") == 1
