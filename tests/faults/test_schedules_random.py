"""Two beats that are killed, frozen and started at random, a database that breaks: each tick is accounted for once.

FAULT_SEED repeats a run; FAULT_SECONDS makes it longer.
"""

import os
import random
import time
from collections import Counter
from typing import Any

import pytest

from tests.support.breaking import freeze, thaw
from tests.support.outages import away, cut_once, stopped
from tests.support.processes import Process
from tests.support.scheduling import Wish, check_gapless, now, positions, set_up, stands
from tests.support.station import Station

SECONDS = int(os.environ.get("FAULT_SECONDS", "20"))
SEED = int(os.environ.get("FAULT_SEED", "0")) or random.randint(1, 2**31)
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"missed": "all", "missed_limit": 1000},
    {"missed": "all", "missed_limit": 2},
    {"missed": "skip", "max_lateness": 1},
    {"missed": "all", "missed_limit": 1000, "overlap": "skip"},
    {"missed": "once", "overlap": "queue"},
)


@pytest.mark.databases("postgres")
@pytest.mark.timeout(SECONDS + 200)
def test_whatever_happens_to_beats_each_tick_has_one_job_or_one_recorded_skip(fresh_station: Station) -> None:
    station, chance = fresh_station, random.Random(SEED)
    wishes = [Wish(f"random {n}", every=chance.choice((1, 1, 2, 3)), policy=POLICIES[n % 6]) for n in range(20)]
    names = [wish.name for wish in wishes]
    set_up(station, *wishes)
    station.worker("default", concurrency=2)
    beats = [station.beat(), station.beat()]
    stands(station, *names)
    did = _harm(station, beats, chance)
    _settled(station, names)
    for beat in beats:
        beat.stop()
    told = f"FAULT_SEED={SEED}, {dict(did)}"
    ticks = {name: check_gapless(station, name) for name in names}
    assert all(len(each) >= 3 for each in ticks.values()), told
    assert {tick["outcome"] for tick in ticks["random 1"]} == {"run"}, told
    ids = [tick["job_id"] for each in ticks.values() for tick in each if tick["outcome"] == "run"]
    assert len(ids) == len(set(ids)), told
    rows = station.wait_ended(ids, 60)
    assert {row["state"] for row in rows} == {"succeeded"}, told


def _harm(station: Station, beats: list[Process], chance: random.Random) -> Counter[str]:
    """One thing after another, for so many seconds; how often which. Two beats run at the end."""
    did: Counter[str] = Counter()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        harm = chance.choice(("kill", "kill", "kill both", "freeze", "cut", "database", "redis", "quiet"))
        did[harm] += 1
        victims = beats if harm == "kill both" else [chance.choice(beats)]
        if harm.startswith("kill"):
            for victim in victims:
                victim.kill()
            time.sleep(chance.uniform(0, 2))
            for place, beat in enumerate(beats):
                if not beat.running:
                    beats[place] = station.beat()
        elif harm == "freeze":
            frozen = freeze(victims[0])
            time.sleep(chance.uniform(1, 3))
            thaw(frozen)
        elif harm == "cut":
            cut_once(station)
        elif harm == "database":
            away(station, stopped, chance.uniform(0.2, 2))
        elif harm == "redis":
            station.valkey.kill()
            time.sleep(chance.uniform(0.2, 2))
            station.valkey.start()
        time.sleep(chance.uniform(0.2, 1))
    return did


def _settled(station: Station, names: list[str]) -> None:
    """Waits until every schedule stands at a tick after this moment."""
    here = station.call(now)
    station.wait(lambda: all(at > here for at in station.call(positions, names).values()), 40, "all to go on")
