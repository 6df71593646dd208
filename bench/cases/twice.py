"""Cases in which a tick may be sent twice, or not at all: two beats, kill -9, Redis away."""

import time

from bench.cases.case import case, often, times, utc
from bench.rows import Row
from bench.sides import Side

NOON = utc(10, 12)
#: Stock saves what it has sent after the first job of its life, then every three minutes; and has a connection.
OFTEN = Row("often", every=2)


@case("two-beats", "two beats, 12 s of a 2 s interval")
def two_beats(side: Side) -> str:
    side.add(Row("tick", every=2))
    for _ in range(2):
        side.beat()
    began = side.now().timestamp()
    time.sleep(12)
    sent = [arrival for arrival in side.arrivals.of("tick") if arrival.host >= began]
    return f"{len(sent)} jobs, 6 planned"


@case("kill-after", "a daily row fires (beside one of every 2 s), beat is killed (kill -9) and started again, twice")
def killed_after_firing(side: Side) -> str:
    side.turn(utc(10, 11, 59, 50))
    side.add(OFTEN, Row("daily", cron="0 12 * * *"))
    return f"{often(_killed(side))} for one tick"


@case("one-off-kill", "a one-off row fires (beside one of every 2 s), beat is killed and started again, twice")
def one_off(side: Side) -> str:
    side.turn(utc(10, 11, 59, 50))
    side.add(OFTEN, Row("daily", clocked=NOON, columns={"one_off": True}))
    return often(_killed(side))


def _killed(side: Side) -> int:
    beat = side.beat()
    side.until(NOON, 3)
    beat.kill()
    for _ in range(2):
        beat = side.beat()
        time.sleep(4)
        beat.kill()
    return len(side.arrivals.of("daily"))


@case("redis-down", "Redis down at the tick of a daily row (beside one of every 2 s), back 6 s later")
def redis_down(side: Side) -> str:
    side.turn(utc(10, 11, 59, 46))
    side.add(OFTEN, Row("daily", cron="0 12 * * *"))
    side.beat()
    side.until(NOON, -2)
    side.valkey.stop()
    side.until(NOON, 4)
    side.valkey.start()
    side.until(NOON, 16)
    return times(side.arrivals.of("daily"))
