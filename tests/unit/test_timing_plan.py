"""What becomes of each tick: the plan that beat, previews and the simulator share."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.policies import Missed, Outcome, Why
from jobs.timing.cron import Cron
from jobs.timing.every import Every
from jobs.timing.once import Once
from jobs.timing.plan import Outage, Policy, Schedule, Tick, plan

DAY = datetime(2026, 6, 1, tzinfo=UTC)
HOURLY = Schedule(Cron("0"))


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def told(ticks: list[Tick]) -> list[str]:
    """`01:00`, `05:00>05:30` (looked at later), `missed 02:00-04:00 x3`."""
    return [_told(tick) for tick in ticks]


def _told(tick: Tick) -> str:
    if tick.outcome == Outcome.RUN:
        late = "" if tick.kept_at == tick.at else f">{tick.kept_at:%H:%M}"
        return f"{tick.at:%H:%M}{late}"
    return f"{tick.why} {f'{tick.first:%H:%M}-' if tick.first else ''}{tick.at:%H:%M} x{tick.count}"


def planned(policy: Policy, until: float = 6, outage: tuple[float, float] = (1.5, 5.5), **schedule: Any) -> list[str]:
    """The hourly schedule of a day from 00:00 on, beat down from 01:30 to 05:30."""
    outages = [Outage(at(outage[0]), at(outage[1]))]
    return told(list(plan(Schedule(HOURLY.timing, **schedule), policy, DAY, at(until), outages)))


def test_without_an_outage_each_tick_runs_at_its_time() -> None:
    ticks = list(plan(HOURLY, Policy(), DAY, at(3)))
    assert [tick.at for tick in ticks] == [at(1), at(2), at(3)]
    assert all(tick.outcome == Outcome.RUN and tick.kept_at == tick.run_at == tick.at for tick in ticks)


def test_without_an_until_ticks_are_drawn_for_ever() -> None:
    assert len(list(islice(plan(HOURLY, Policy(), DAY, None), 1000))) == 1000


def test_run_once_runs_the_last_of_the_missed_ticks() -> None:
    assert planned(Policy()) == ["01:00", "replaced 02:00-04:00 x3", "05:00>05:30", "06:00"]


def test_skip_runs_none_of_the_missed_ticks() -> None:
    assert planned(Policy(Missed.SKIP, max_lateness=60)) == ["01:00", "missed 02:00-05:00 x4", "06:00"]


def test_skip_runs_the_last_one_when_it_is_still_on_time() -> None:
    assert planned(Policy(Missed.SKIP, max_lateness=1800)) == [
        "01:00",
        "missed 02:00-04:00 x3",
        "05:00>05:30",
        "06:00",
    ]


def test_run_all_runs_the_last_so_many() -> None:
    assert planned(Policy(Missed.ALL, missed_limit=2)) == [
        "01:00",
        "limit 02:00-03:00 x2",
        "04:00>05:30",
        "05:00>05:30",
        "06:00",
    ]
    assert planned(Policy(Missed.ALL))[1:5] == ["02:00>05:30", "03:00>05:30", "04:00>05:30", "05:00>05:30"]


def test_a_tick_later_than_its_maximum_lateness_never_runs() -> None:
    assert planned(Policy(Missed.ALL, max_lateness=5400)) == [
        "01:00",
        "late 02:00-03:00 x2",
        "04:00>05:30",
        "05:00>05:30",
        "06:00",
    ]
    assert planned(Policy(max_lateness=5400)) == [
        "01:00",
        "late 02:00-03:00 x2",
        "replaced 04:00 x1",
        "05:00>05:30",
        "06:00",
    ]
    assert planned(Policy(max_lateness=60)) == ["01:00", "late 02:00-05:00 x4", "06:00"]


def test_one_skipped_alone_has_no_first() -> None:
    (tick,) = (
        tick for tick in plan(HOURLY, Policy(), DAY, at(3), [Outage(at(0.5), at(2.5))]) if tick.count == 1 and tick.why
    )
    assert (tick.at, tick.first, tick.run_at, tick.kept_at) == (at(1), None, None, at(2.5))


def test_a_tick_at_the_end_of_an_outage_is_the_last_of_those_looked_at_then() -> None:
    assert planned(Policy(), outage=(1.5, 5)) == ["01:00", "replaced 02:00-04:00 x3", "05:00", "06:00"]


def test_a_tick_at_the_begin_of_an_outage_is_missed() -> None:
    assert planned(Policy(), outage=(2, 3.5), until=4) == ["01:00", "replaced 02:00 x1", "03:00>03:30", "04:00"]


def test_a_tick_whose_outage_goes_on_is_not_decided_yet() -> None:
    assert planned(Policy(), until=5) == ["01:00"]


def test_an_outage_without_a_tick_changes_nothing() -> None:
    assert planned(Policy(), outage=(2.1, 2.9), until=3) == ["01:00", "02:00", "03:00"]


def test_outages_in_any_order_that_overlap_count_as_one() -> None:
    outages = [Outage(at(4), at(5.5)), Outage(at(3), at(3)), Outage(at(1.5), at(4.2)), Outage(at(2), at(2.5))]
    assert told(list(plan(HOURLY, Policy(), DAY, at(6), outages))) == planned(Policy())


def test_an_outage_from_before_the_position_counts_from_the_position() -> None:
    outages = [Outage(at(-50), at(3.5))]
    assert told(list(plan(HOURLY, Policy(), at(1), at(4), outages))) == ["replaced 02:00 x1", "03:00>03:30", "04:00"]


def test_no_tick_comes_before_the_start_nor_after_the_end() -> None:
    assert planned(Policy(), outage=(9, 9.5), start=at(2), end=at(4)) == ["02:00", "03:00", "04:00"]


def test_an_interval_counts_from_its_start() -> None:
    every = Schedule(Every(timedelta(hours=1), at(-7.3)), start=at(1.25))
    assert told(list(plan(every, Policy(), DAY, at(4)))) == ["01:15", "02:15", "03:15"]
    assert told(list(plan(every, Policy(), at(1.25), at(4)))) == ["02:15", "03:15"]


def test_none_runs_after_the_end() -> None:
    assert planned(Policy(Missed.ALL), end=at(5.2)) == ["01:00", "ended 02:00-05:00 x4"]


def test_a_tick_at_the_end_itself_runs_when_beat_comes_to_it_in_time() -> None:
    now = at(2) + timedelta(milliseconds=20)
    ticks = list(plan(Schedule(HOURLY.timing, end=at(2)), Policy(), at(1), now, [Outage(at(1), now)]))
    assert [(tick.at, tick.outcome) for tick in ticks] == [(at(2), Outcome.RUN)]


def test_one_off_ends_with_the_first_tick_that_runs() -> None:
    assert planned(Policy(), one_off=True) == ["01:00"]
    assert planned(Policy(), outage=(0.5, 3.5), one_off=True) == ["replaced 01:00-02:00 x2", "03:00>03:30"]
    assert planned(Policy(Missed.SKIP, max_lateness=9), outage=(0.5, 3.5), one_off=True) == [
        "missed 01:00-03:00 x3",
        "04:00",
    ]


def test_a_clocked_schedule_whose_time_was_missed_still_runs_once() -> None:
    clocked = Schedule(Once(at(2)), one_off=True)
    assert told(list(plan(clocked, Policy(), DAY, at(6), [Outage(at(1), at(5))]))) == ["02:00>05:00"]
    assert told(list(plan(clocked, Policy(), at(2), at(6)))) == []


def test_skip_without_a_measure_of_on_time_is_refused() -> None:
    with pytest.raises(ValueError, match="max_lateness must say"):
        Policy(Missed.SKIP)


def test_jitter_moves_the_job_and_not_the_tick() -> None:
    ticks = list(plan(Schedule(HOURLY.timing, key="7"), Policy(jitter=600), DAY, at(200)))
    offsets = [(tick.run_at - tick.at).total_seconds() for tick in ticks]
    assert all(0 <= offset <= 600 for offset in offsets)
    assert min(offsets) < 60
    assert max(offsets) > 540
    assert 250 < sum(offsets) / len(offsets) < 350
    assert ticks == list(plan(Schedule(HOURLY.timing, key="7"), Policy(jitter=600), DAY, at(200)))


def test_two_schedules_with_jitter_start_apart() -> None:
    one, other = (next(plan(Schedule(HOURLY.timing, key=key), Policy(jitter=600), DAY, None)) for key in "12")
    assert one.at == other.at
    assert one.run_at != other.run_at


def test_a_late_tick_does_not_wait_for_jitter_that_has_passed() -> None:
    late = next(plan(Schedule(HOURLY.timing, key="7"), Policy(jitter=600), DAY, at(2), [Outage(at(0.5), at(1.5))]))
    assert late.run_at == late.kept_at == at(1.5)


def test_a_double_hour_is_planned_twice_and_compared_rightly() -> None:
    paris = ZoneInfo("Europe/Paris")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=paris, fold=fold) for fold in (0, 1))
    half_past = Schedule(Cron("30", zone=paris))
    (tick,) = plan(half_past, Policy(), first, second)
    assert tick.at == second.astimezone(UTC)
    assert list(plan(half_past, Policy(), second, second)) == []


@pytest.mark.parametrize("timing", [Every(timedelta(seconds=1), DAY), Cron(), Cron(zone=ZoneInfo("Europe/Paris"))])
@pytest.mark.parametrize("policy", [Policy(), Policy(Missed.ALL, 3), Policy(Missed.SKIP, max_lateness=5)])
def test_a_year_of_missed_ticks_is_counted_and_not_drawn(timing: Any, policy: Policy) -> None:
    class Drawn:
        """The timing, counting what is drawn of it."""

        zone, count, drawn = timing.zone, timing.count, 0

        def after(self, moment: datetime) -> Any:
            return (self._draw(tick) for tick in timing.after(moment))

        def before(self, moment: datetime) -> Any:
            return (self._draw(tick) for tick in timing.before(moment))

        def _draw(self, tick: datetime) -> datetime:
            self.drawn += 1
            return tick

    year, drawn = DAY + timedelta(days=365), Drawn()
    ticks = list(plan(Schedule(drawn), policy, DAY, year, [Outage(DAY, year)]))
    assert sum(tick.count for tick in ticks) == timing.count(DAY, year) > 500_000
    assert drawn.drawn < 12


def test_the_reasons_are_told_apart() -> None:
    whys = {tick.why for tick in plan(HOURLY, Policy(max_lateness=5400), DAY, at(6), [Outage(at(1.5), at(5.5))])}
    assert whys == {Why.NONE, Why.LATE, Why.REPLACED}
