"""Beat is killed after each statement of a tick: one job for each tick, whoever makes it."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.scheduling import (
    ALL,
    Wish,
    check_gapless,
    check_once_each,
    now,
    positions,
    set_up,
    stands,
    switch_off_all,
    ticked,
    ticks_of,
)
from tests.support.station import Station

#: Seconds until the ticks of a frozen beat go on: two leases, here at a tenth, and what a busy machine may add.
FROZEN = 2.4 + 10.0
#: Seconds of ticks that end with their only one.
ONE_OFFS = 60
#: Seconds until beats, which look every tenth of one, have seen that all is switched off.
QUIET = 1.0
#: So many at once are prepared before their moment.
CROWD = 15
#: What the deaths must come after, beside much else: all that writes down a tick, and what tells a prepared one.
WRITING = (
    "INSERT INTO jobs_scheduletick",
    "INSERT INTO jobs_job",
    "UPDATE jobs_schedulestanding SET",
    "UPDATE django_celery_beat_periodictask AS task SET last_run_at",
    "COMMIT",
)
LOOKING = "AS task JOIN jobs_schedulestanding"


def _wishes(start: datetime) -> list[Wish]:
    """All due at the same moments: between them every statement that a tick may need."""
    columns = {"start_time": start}
    return [
        Wish("plain", every=1, policy=ALL, columns=columns),
        Wish("careful", every=1, policy={**ALL, "overlap": "skip", "pause_after": 3}, columns=columns),
        Wish("by turns", every=1, policy={**ALL, "overlap": "queue"}, columns=columns),
        Wish("made up once", every=2, columns=columns),
        *(Wish(f"one of many {n}", every=1, policy=ALL, columns=columns) for n in range(CROWD)),
        *(Wish(f"single {n}", at=start + timedelta(seconds=n)) for n in range(ONE_OFFS)),
    ]


def test_a_beat_killed_after_any_statement_of_a_tick_loses_none_and_doubles_none(fresh_station: Station) -> None:
    """Row 12c: each kill is one statement further; the last one comes after the commit and before the ring.

    First of ticks that a new beat finds waiting, then of those that were prepared before their moment.
    """
    station = fresh_station
    env = {"KILLS": str(station.data / "kills"), "DJANGO_SETTINGS_MODULE": "tests.support.killing_settings"}
    wishes = _wishes(station.call(now) + timedelta(seconds=4))
    set_up(station, *wishes)
    station.worker("default", concurrency=2)
    _die_at_each_statement(station, env, wishes, WRITING)
    for beat in station.processes[1:]:
        beat.kill()
    _die_at_each_statement(station, {**env, "PREPARED": "1"}, wishes, (LOOKING, *WRITING))
    here = station.call(now)
    station.wait(lambda: station.call(ticks_of, "plain")[-1]["at"] > here, what="the ticks to go on")
    station.call(switch_off_all)
    time.sleep(QUIET)
    for wish in wishes:
        if wish.at is None:
            assert len(check_gapless(station, wish.name)) >= 2
    settled = station.call(positions, ["plain"])["plain"]
    for wish in wishes:
        if wish.at is not None:
            assert len(check_once_each(station, wish.name)) == (wish.at <= settled), wish
    ids = [tick["job_id"] for tick in station.call(ticks_of, "plain")]
    rows = station.wait_ended(ids)
    assert {(row["state"], row["attempt"]) for row in rows} == {("succeeded", 1)}
    assert station.journal().count("plain") == len(ids)


@pytest.mark.databases("postgres")
def test_a_beat_that_freezes_in_the_middle_of_a_tick_holds_nobody_up_for_long(fresh_station: Station) -> None:
    """Its rows stay locked until the server has ended its transaction; when it wakes it does no harm."""
    station = fresh_station
    kills = station.data / "kills"
    env = {"KILLS": str(kills), "FREEZES": "1", "DJANGO_SETTINGS_MODULE": "tests.support.killing_settings"}
    set_up(station, Wish("held up", every=1, policy=ALL))
    beats = [station.beat(env), station.beat(env)]
    stands(station, "held up")
    kills.write_text("4")
    station.wait(lambda: kills.read_text() == "over", what="one to freeze")
    here = station.call(now)
    station.wait(lambda: station.call(positions, ["held up"])["held up"] > here, FROZEN, "the ticks to go on")
    for beat in beats:
        beat.resume()
    ticked(station, "held up", len(station.call(ticks_of, "held up")) + 3)
    assert all(beat.running for beat in beats)
    check_gapless(station, "held up")


def test_two_beats_that_both_take_themselves_for_the_leader_make_one_job_of_each_tick(fresh_station: Station) -> None:
    """The lead only makes it cheap: row locks and the unique key (schedule, tick) make it right."""
    station = fresh_station
    env = {"JOBS_TASK_MODULES": "tests.plain_tasks,tests.faults.leading"}
    names = [f"wanted by both {n}" for n in range(10)]
    set_up(station, *(Wish(name, every=1, policy=ALL) for name in names))
    for _ in range(2):
        station.beat(env)
    stands(station, *names)
    for name in names:
        ticked(station, name, 6)
        assert {tick["outcome"] for tick in check_gapless(station, name)} == {"run"}


def _die_at_each_statement(
    station: Station, env: dict[str, str], wishes: list[Wish], statements: tuple[str, ...]
) -> None:
    """Two beats, a new one in the place of each that died, until one gets through.

    Transactions differ in what comes before: which of `statements` no number met is asked for by its text.
    """
    born = len(station.processes)
    beats = [_beat(station, env), _beat(station, env)]
    stands(station, *(wish.name for wish in wishes))
    _die(station, env, beats, "1")
    deaths = _deaths(station.processes[born:])
    assert [death.split()[3] for death in deaths] == [f"{n}:" for n in range(1, len(deaths) + 1)]
    for missing in [each for each in statements if not any(each in death for death in deaths)]:
        _die(station, env, beats, missing)
    deaths = _deaths(station.processes[born:])
    assert [each for each in statements if not any(each in death for death in deaths)] == []


def _die(station: Station, env: dict[str, str], beats: list[Process], at: str) -> None:
    """Puts a new beat in the place of each that dies, until it is over."""
    kills, until = Path(env["KILLS"]), time.monotonic() + 150
    kills.write_text(at)
    while kills.read_text() != "over":
        assert time.monotonic() < until, kills.read_text()
        for place, beat in enumerate(beats):
            if not beat.running:
                assert beat.popen.returncode == -9, beat.output()
                beats[place] = _beat(station, env)
        time.sleep(0.1)


def _deaths(beats: list[Process]) -> list[str]:
    """What each said last, in the order of their deaths."""
    said = [line for beat in beats for line in beat.output().splitlines()]
    return sorted((line for line in said if line.startswith("killed")), key=lambda line: int(line.split()[3][:-1]))


def _beat(station: Station, env: dict[str, str]) -> Process:
    """Not waited for: it may die as soon as it leads."""
    return station.celery(f"beat-{len(station.processes)}", "beat", env=env)
