"""Timings and plans against independent oracles: cronsim, each minute walked by the letter of the rule, plain lists."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import crontab
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jobs.policies import Missed, Outcome, Why
from jobs.timing.cron import Cron
from jobs.timing.errors import BadTiming
from jobs.timing.every import Every
from jobs.timing.once import Once
from jobs.timing.plan import Outage, Policy, Schedule, Tick, plan

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2032, 12, 31, tzinfo=UTC)
ZONES = [
    ZoneInfo(name)
    for name in """UTC Europe/Paris Europe/London Europe/Dublin America/New_York America/St_Johns America/Havana
    America/Santiago America/Asuncion Australia/Lord_Howe Australia/Adelaide Pacific/Auckland Pacific/Chatham
    Pacific/Easter Pacific/Norfolk Africa/Casablanca Africa/El_Aaiun Africa/Cairo Asia/Kathmandu Asia/Beirut Asia/Gaza
    Asia/Jerusalem Atlantic/Azores Antarctica/Troll""".split()
]
CHANGES_WITHIN_AN_HOUR = {"Australia/Lord_Howe", "Pacific/Chatham"}
FAST = settings(max_examples=250, deadline=None)
#: The same examples in each run: cronsim has faults of its own in some zones, and none of them shall stop a build.
BESIDE_CRONSIM = settings(max_examples=250, deadline=None, derandomize=True)

# --- What is tried --------------------------------------------------------------------------------


@cache
def changes(zone: ZoneInfo) -> list[datetime]:
    """The moments from 2024 to 2032 at which the zone's clocks change, found by looking at each hour and minute."""
    days = [FIRST + number * DAY for number in range((LAST - FIRST).days)]
    found = []
    for day in days:
        if day.astimezone(zone).utcoffset() != (day + DAY).astimezone(zone).utcoffset():
            offset = day.astimezone(zone).utcoffset()
            found.append(
                next(m for m in (day + n * MINUTE for n in range(1441)) if m.astimezone(zone).utcoffset() != offset)
            )
    return found


@st.composite
def moments_in(draw: Any, zone: ZoneInfo) -> datetime:
    """A moment near a change of clocks, or anywhere, in UTC."""
    if changes(zone) and draw(st.integers(0, 4)):
        return draw(st.sampled_from(changes(zone))) + draw(st.integers(-180, 60)) * MINUTE
    return FIRST + draw(st.integers(0, (LAST - FIRST) // MINUTE)) * MINUTE


def field(least: int, most: int, *more: str) -> st.SearchStrategy[str]:
    """A field of a crontab line: a wildcard, steps, numbers, ranges, lists."""
    number = st.integers(least, most)
    # Two different ends: cronsim reads 5-5/2 as 5-59/2.
    two = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    span = two.map(lambda ends: f"{ends[0]}-{ends[1]}")
    one = st.one_of(
        number.map(str),
        span,
        st.integers(1, most).map(lambda step: f"*/{step}"),
        st.tuples(span, st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        *([st.sampled_from(more)] if more else []),
    )
    return st.one_of(st.just("*"), one, st.lists(one, min_size=2, max_size=3).map(",".join))


MINUTES, HOURS = field(0, 59), field(0, 23) | st.sampled_from(["*", "*/2", "0-4", "1,2,3", "0", "2", "23", "0-23"])
DAYS_OF_MONTH, MONTHS = st.just("*") | field(1, 31), st.just("*") | field(1, 12, "jan", "mar", "oct")
WEEKDAYS = st.just("*") | field(0, 6, "mon", "fri", "sun")
LINES = st.tuples(MINUTES, HOURS, DAYS_OF_MONTH, MONTHS, WEEKDAYS)
#: Lines that tick on each day, so that a change of clocks always has some.
DAILY_LINES = st.tuples(MINUTES, HOURS, st.just("*"), st.just("*"), st.just("*"))


def cron_of(line: tuple[str, ...], zone: ZoneInfo) -> Cron:
    """The timing; a line that names no day is not for this test."""
    try:
        return Cron(*line, zone=zone)
    except BadTiming:
        assume(False)
        raise


def between(timing: Any, after: datetime, until: datetime) -> list[datetime]:
    """Ticks in (after, until]."""
    return list(takewhile(lambda tick: tick <= until, timing.after(after)))


# --- Cron beside each minute walked ---------------------------------------------------------------


def walked(line: tuple[str, ...], zone: ZoneInfo, after: datetime, until: datetime) -> list[datetime]:
    """The rule by its letter: each minute in (after, until] is shown to the zone's clocks and to Celery's own sets."""
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    stock = crontab(**dict(zip(names, line, strict=True)))
    follows_elapsed_time = line[1] == "*" or (line[1].startswith("*/") and line[1][2:].isdigit())

    def is_planned(wall: datetime) -> bool:
        return (
            wall.minute in stock.minute
            and wall.hour in stock.hour
            and wall.day in stock.day_of_month
            and wall.month in stock.month_of_year
            and wall.isoweekday() % 7 in stock.day_of_week
        )

    def ticks_at(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        wall, previous = local.replace(tzinfo=None), (moment - MINUTE).astimezone(zone).replace(tzinfo=None)
        skipped = (previous + number * MINUTE for number in range(1, (wall - previous) // MINUTE))
        its_own = is_planned(wall) and (not local.fold or follows_elapsed_time)
        return its_own or any(is_planned(missing) for missing in skipped)

    minutes = (after + number * MINUTE for number in range(1, (until - after) // MINUTE + 1))
    return [moment for moment in minutes if ticks_at(moment)]


@FAST
@given(st.data(), st.sampled_from(ZONES), DAILY_LINES | LINES)
def test_a_cron_line_ticks_at_the_minutes_that_the_rule_names(data: Any, zone: ZoneInfo, line: tuple[str, ...]) -> None:
    timing, after = cron_of(line, zone), data.draw(moments_in(zone))
    until = after + timedelta(hours=30)
    found = between(timing, after, until)
    assert found == walked(line, zone, after, until)
    assert list(takewhile(lambda tick: tick > after, timing.before(until))) == found[::-1]
    assert timing.count(after, until) == len(found)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("line", ["* * * * *", "*/15 */2 * * *", "30 0,1,2,3,23 * * *", "5,45 0-23 * * *"])
def test_every_kind_of_change_of_clocks_follows_the_rule(zone: ZoneInfo, line: str) -> None:
    fields = tuple(line.split())
    for change in changes(zone):
        after, until = change - timedelta(hours=4), change + timedelta(hours=4)
        assert between(Cron(*fields, zone=zone), after, until) == walked(fields, zone, after, until)


# --- Cron beside cronsim --------------------------------------------------------------------------


def simulated(line: tuple[str, ...], zone: ZoneInfo, after: datetime, until: datetime) -> set[datetime]:
    """cronsim's ticks in (after, until], with both day fields combined by AND.

    cronsim (as Debian's cron) combines them by OR when neither starts with a star: then it is asked without the
    weekdays, and those are taken out of its answer.
    """
    minute, hour, days, months, weekdays = line
    is_or = not days.startswith("*") and not weekdays.startswith("*")
    text = " ".join((minute, hour, days, months, "*" if is_or else weekdays))
    ticks = [after]
    for tick in CronSim(text, after.astimezone(zone)):
        # Where midnight comes twice, cronsim may go back to the first one again and again.
        assume(tick.astimezone(UTC) >= ticks[-1] or len(ticks) == 1)
        if tick.astimezone(UTC) > until:
            break
        ticks.append(tick.astimezone(UTC))
    wanted = crontab(day_of_week=weekdays).day_of_week
    return {tick for tick in ticks if tick > after and tick.astimezone(zone).isoweekday() % 7 in wanted}


def differs_near(line: tuple[str, ...], tick: datetime, zone: ZoneInfo) -> bool:
    """Where the stated rule and cronsim differ: a gap's end and the second of a double hour, of lines with a star.

    With a star at the begin of the minute or hour field cronsim follows elapsed time: nothing ticks for a skipped time,
    and all of a double hour does. Ours ticks once at the gap's end, and twice only with a wildcard hour. The test above
    holds ours to the rule there.
    """
    at_gap = tick in changes(zone) and not tick.astimezone(zone).fold
    return has_star(line) and (at_gap or bool(tick.astimezone(zone).fold))


def has_star(line: tuple[str, ...]) -> bool:
    """Whether cronsim lets the line follow elapsed time."""
    return line[0].startswith("*") or line[1].startswith("*")


@BESIDE_CRONSIM
@given(st.data(), st.sampled_from(ZONES), DAILY_LINES | LINES)
def test_cronsim_ticks_alike_except_where_the_rule_says_so(data: Any, zone: ZoneInfo, line: tuple[str, ...]) -> None:
    # Where clocks change within an hour, cronsim then steps beside the hours and leaves a part of one out.
    assume(zone.key not in CHANGES_WITHIN_AN_HOUR or not has_star(line))
    timing, after = cron_of(line, zone), data.draw(moments_in(zone))
    until = after + timedelta(hours=30)
    ours, theirs = set(between(timing, after, until)), simulated(line, zone, after, until)
    assert all(differs_near(line, tick, zone) for tick in ours ^ theirs)


@BESIDE_CRONSIM
@given(st.data(), st.sampled_from(ZONES), LINES)
def test_sparse_lines_tick_with_cronsim_for_years(data: Any, zone: ZoneInfo, line: tuple[str, ...]) -> None:
    line = ("7", "13", *line[2:])  # no clock changes there: nothing may differ
    timing, after = cron_of(line, zone), data.draw(moments_in(zone))
    until = after + 400 * DAY
    ours = between(timing, after, until)
    assert set(ours) == simulated(line, zone, after, until)
    assert timing.count(after, until) == len(ours)


@BESIDE_CRONSIM
@given(DAYS_OF_MONTH, MONTHS)
def test_a_line_that_cronsim_calls_impossible_is_refused_and_no_other(days: str, months: str) -> None:
    try:
        CronSim(f"0 0 {days} {months} *", datetime(2026, 1, 1)).advance()
        is_possible = True
    except (CronSimError, StopIteration):
        is_possible = False
    if is_possible:
        Cron("0", "0", days, months)
    else:
        with pytest.raises(BadTiming):
            Cron("0", "0", days, months)


# --- Intervals ------------------------------------------------------------------------------------

MOMENTS = st.integers(0, (LAST - FIRST) // timedelta(milliseconds=1)).map(
    lambda n: FIRST + n * timedelta(milliseconds=1)
)
SPANS = st.integers(1, 7 * 86400).map(lambda seconds: timedelta(seconds=seconds))


@FAST
@given(SPANS, MOMENTS, MOMENTS, st.integers(0, 200))
def test_an_interval_is_always_a_whole_number_of_steps_from_its_anchor(
    every: timedelta, anchor: datetime, moment: datetime, number: int
) -> None:
    timing = Every(every, anchor)
    ticks = list(islice(timing.after(moment), 3))
    assert all((tick - anchor) % every == timedelta() and tick > max(moment, anchor) for tick in ticks)
    assert all(later - earlier == every for earlier, later in pairwise(ticks))
    assert ticks[0] - max(moment, anchor) <= every
    until = moment + number * every
    assert timing.count(moment, until) == len(between(timing, moment, until))
    assert list(takewhile(lambda tick: tick > moment, timing.before(until))) == between(timing, moment, until)[::-1]


# --- Plans beside plain lists ---------------------------------------------------------------------

HORIZON = timedelta(hours=12)
SECONDS = st.integers(0, int(HORIZON.total_seconds()))
START = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)  # clocks go back in Paris at 01:00
SOME_CRONS = [("*/10",), ("0,7,30", "*/2"), ("15", "1-6"), ("*", "3")]


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


TIMINGS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(SOME_CRONS).map(lambda line: Cron(*line, zone=ZoneInfo("Europe/Paris"))),
    st.tuples(st.integers(60, 7200), st.integers(-9999, 9999)).map(
        lambda pair: Every(timedelta(seconds=pair[0]), later(pair[1]))
    ),
    SECONDS.map(lambda second: Once(later(second))),
)
POLICIES = st.builds(
    lambda missed, limit, lateness, jitter: Policy(
        missed, limit, 60 if missed == Missed.SKIP and lateness is None else lateness, jitter
    ),
    st.sampled_from(Missed),
    st.integers(1, 5),
    st.none() | st.integers(0, 9000),
    st.sampled_from([0, 0, 300]),
)
SCHEDULES = st.builds(
    Schedule,
    TIMINGS,
    start=st.none() | SECONDS.map(later),
    end=st.none() | SECONDS.map(later),
    one_off=st.booleans(),
    key=st.sampled_from("ab"),
)
OUTAGES = st.lists(
    st.tuples(SECONDS, st.integers(0, 20000)).map(lambda pair: Outage(later(pair[0]), later(sum(pair)))), max_size=4
)
END = START + HORIZON
Decision = tuple[datetime, Outcome, Why, datetime]


def kept_at(at: datetime, outages: list[Outage]) -> datetime:
    """When a tick is looked at: after each outage that it, or the end of another one, lies in."""
    moment, is_missed = at, False
    for _ in outages:
        for outage in outages:
            touches = outage.since <= moment < outage.until or (is_missed and outage.since <= moment <= outage.until)
            if touches and outage.since < outage.until:
                moment, is_missed = outage.until, True
    return moment


def drawn(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """Each planned time of the schedule in (after, until], each drawn."""
    timing, start = schedule.timing, schedule.start
    if start and isinstance(timing, Every):
        timing = Every(timing.every, start, first=0)
    ticks = between(timing, min(after, start or after) - MINUTE, until)
    return [
        at for at in ticks if after < at and (not start or at >= start) and (not schedule.end or at <= schedule.end)
    ]


def decided(
    schedule: Schedule, policy: Policy, outages: list[Outage], after: datetime, until: datetime
) -> list[Decision]:
    """The rule by its letter, tick by tick, on lists."""
    groups: dict[datetime, list[datetime]] = {}
    for at in drawn(schedule, after, until):
        groups.setdefault(kept_at(at, outages), []).append(at)
    decisions: list[Decision] = []
    for moment, ticks in sorted(groups.items()):
        if moment <= until:
            decisions += [(at, *judged(schedule, policy, ticks, at, moment), moment) for at in ticks]
    if schedule.one_off:
        runs = (place for place, decision in enumerate(decisions) if decision[1] == Outcome.RUN)
        return decisions[: next(runs, len(decisions)) + 1]
    return decisions


def judged(
    schedule: Schedule, policy: Policy, ticks: list[datetime], at: datetime, moment: datetime
) -> tuple[Outcome, Why]:
    """What becomes of one of the ticks that are looked at together."""
    if schedule.end and moment > schedule.end + timedelta(seconds=1):
        return Outcome.SKIPPED, Why.ENDED
    is_late = policy.max_lateness is not None and moment - at > timedelta(seconds=policy.max_lateness)
    if is_late:
        return Outcome.SKIPPED, Why.MISSED if policy.missed == Missed.SKIP else Why.LATE
    if policy.missed == Missed.ALL:
        return (Outcome.RUN, Why.NONE) if at in ticks[-policy.missed_limit :] else (Outcome.SKIPPED, Why.LIMIT)
    if at == ticks[-1]:
        return Outcome.RUN, Why.NONE
    return Outcome.SKIPPED, Why.MISSED if policy.missed == Missed.SKIP else Why.REPLACED


def unfolded(ticks: list[Tick], schedule: Schedule, after: datetime) -> Iterator[Decision]:
    """Each planned time that the plan accounts for: of several skipped together each one."""
    for tick in ticks:
        together = drawn(schedule, (tick.first or tick.at) - timedelta(microseconds=1), tick.at)
        assert len(together) == tick.count
        yield from ((at, tick.outcome, tick.why, tick.kept_at) for at in together)


@FAST
@given(SCHEDULES, POLICIES, OUTAGES, SECONDS)
def test_the_plan_is_the_rule_applied_tick_by_tick(
    schedule: Schedule, policy: Policy, outages: list[Outage], until: int
) -> None:
    ticks = list(plan(schedule, policy, START, later(until), outages))
    assert list(unfolded(ticks, schedule, START)) == decided(schedule, policy, outages, START, later(until))


@FAST
@given(SCHEDULES, POLICIES, OUTAGES)
def test_each_tick_is_accounted_for_once_and_in_order(
    schedule: Schedule, policy: Policy, outages: list[Outage]
) -> None:
    after_all = END + timedelta(days=1)
    ticks = list(plan(schedule, policy, START, after_all, outages))
    if not schedule.one_off:
        assert sum(tick.count for tick in ticks) == len(drawn(schedule, START, after_all))
    assert all(earlier.at < (following.first or following.at) for earlier, following in pairwise(ticks))
    looked_at = [tick.kept_at or START for tick in ticks]
    assert looked_at == sorted(looked_at)


@FAST
@given(SCHEDULES, POLICIES, OUTAGES)
def test_what_runs_runs_in_time_and_so_many_at_most(schedule: Schedule, policy: Policy, outages: list[Outage]) -> None:
    runs = [tick for tick in plan(schedule, policy, START, END, outages) if tick.outcome == Outcome.RUN]
    for tick in runs:
        latest = max(tick.kept_at or tick.at, tick.at + timedelta(seconds=policy.jitter))
        assert tick.at <= tick.kept_at <= tick.run_at <= latest
        assert policy.max_lateness is None or tick.kept_at - tick.at <= timedelta(seconds=policy.max_lateness)
        together = [other for other in runs if other.kept_at == tick.kept_at]
        assert len(together) <= (policy.missed_limit if policy.missed == Missed.ALL else 1)
    assert not schedule.one_off or len(runs) <= 1


@FAST
@given(SCHEDULES, POLICIES, SECONDS, SECONDS)
def test_an_interval_of_time_may_be_cut_anywhere(schedule: Schedule, policy: Policy, first: int, second: int) -> None:
    schedule = Schedule(schedule.timing, schedule.start, schedule.end, key=schedule.key)
    middle, until = sorted((later(first), later(second)))
    cut = [*plan(schedule, policy, START, middle), *plan(schedule, policy, middle, until)]
    assert cut == list(plan(schedule, policy, START, until))


@FAST
@given(SCHEDULES, POLICIES, OUTAGES, SECONDS, SECONDS)
def test_looking_less_far_ahead_changes_nothing_that_is_decided(
    schedule: Schedule, policy: Policy, outages: list[Outage], first: int, second: int
) -> None:
    near, far = sorted((later(first), later(second)))
    whole = list(plan(schedule, policy, START, far, outages))
    assert list(plan(schedule, policy, START, near, outages)) == [tick for tick in whole if tick.kept_at <= near]


@FAST
@given(SCHEDULES, POLICIES, OUTAGES)
def test_beat_step_by_step_does_what_the_simulator_says(
    schedule: Schedule, policy: Policy, outages: list[Outage]
) -> None:
    """Beat plans from its position to now, as after an outage; it comes at each tick, or when it is up again."""
    said = list(plan(schedule, policy, START, END, outages))
    done: list[Tick] = []
    position = START
    for now in sorted({kept_at(at, outages) for at in drawn(schedule, START, END)}):
        if now <= END and not (schedule.one_off and any(tick.outcome == Outcome.RUN for tick in done)):
            done += plan(schedule, policy, position, now, [Outage(position, now)])
            position = now
    assert done == said
