"""Cases of clocks: daylight saving time, a host's clock that is wrong, drift."""

import time
from datetime import datetime, timedelta
from statistics import median

from bench.cases.case import case, times, utc
from bench.rows import Row
from bench.sides import Side

HOUR = 3600.0


@case("dst-gap-new-york", "daily 02:30 New York on 8 March 2026: 02:00 to 03:00 does not exist (03:00 is 07:00 UTC)")
def gap_new_york(side: Side) -> str:
    row = Row("daily", cron="30 2 * * *", zone="America/New_York")
    return _around(side, row, utc(7, 7, 30, month=3), utc(8, 7, 0, month=3), utc(8, 7, 30, month=3))


@case("dst-gap-paris", "daily 02:30 Paris on 29 March 2026: 02:00 to 03:00 does not exist (03:00 is 01:00 UTC)")
def gap_paris(side: Side) -> str:
    row = Row("daily", cron="30 2 * * *", zone="Europe/Paris")
    return _around(side, row, utc(28, 1, 30, month=3), utc(29, 1, 0, month=3), utc(29, 1, 30, month=3))


@case("dst-overlap-new-york", "hourly New York on 1 November 2026: 01:00 comes at 05:00 UTC and at 06:00 UTC")
def overlap_new_york(side: Side) -> str:
    row = Row("hourly", cron="0 * * * *", zone="America/New_York")
    return _around(side, row, utc(1, 4, month=11), utc(1, 5, month=11), utc(1, 6, month=11))


@case("dst-overlap-paris", "hourly Paris on 25 October 2026: 02:00 comes at 00:00 UTC and at 01:00 UTC")
def overlap_paris(side: Side) -> str:
    row = Row("hourly", cron="0 * * * *", zone="Europe/Paris")
    return _around(side, row, utc(24, 23, month=10), utc(25, 0, month=10), utc(25, 1, month=10))


@case("dst-overlap-listed", "daily 01:30 New York on 1 November 2026: it comes at 05:30 UTC and at 06:30 UTC")
def overlap_listed(side: Side) -> str:
    row = Row("daily", cron="30 1 * * *", zone="America/New_York")
    return _around(side, row, utc(31, 5, 30, month=10), utc(1, 5, 30, month=11), utc(1, 6, 30, month=11))


def _around(side: Side, row: Row, *moments: datetime) -> str:
    """Beat runs from 6 s before to 4 s after each moment; the first is an ordinary tick, for both to stand on."""
    side.turn(moments[0] - timedelta(seconds=8))
    side.add(row)
    for moment in moments:
        side.up(moment - timedelta(seconds=6), 10)
    after = [arrival for arrival in side.arrivals.of(row.name) if arrival.at > moments[0] + timedelta(minutes=10)]
    return f"{times(after)} UTC" if after else "not sent"


@case("clock-ahead", "the beat's host is 1 h ahead; a daily row is due in 30 min")
def clock_ahead(side: Side) -> str:
    side.on_postgres()
    due = side.now() + timedelta(minutes=30)
    side.add(Row("daily", cron=f"{due.minute} {due.hour} * * *"))
    side.ahead = HOUR
    side.beat()
    time.sleep(10)
    sent = side.arrivals.of("daily")
    return f"sent {(due.timestamp() - sent[0].host) / 60:.0f} min early" if sent else "not sent before its time"


@case("clock-behind", "the beat's host is 1 h behind; a clocked row is due in 10 s")
def clock_behind(side: Side) -> str:
    side.on_postgres()
    due = side.now() + timedelta(seconds=10)
    side.add(Row("clocked", clocked=due, columns={"one_off": True}))
    side.ahead = -HOUR
    side.beat()
    time.sleep(max(0.0, due.timestamp() + 5 - time.time()))
    sent = side.arrivals.of("clocked")
    return f"sent {sent[0].host - due.timestamp():.2f} s after its time" if sent else "not sent within 5 s"


@case("drift", "an interval of 1 s for 25 s")
def drift(side: Side) -> str:
    side.add(Row("tick", every=1))
    side.beat()
    time.sleep(25)
    sent = [arrival.host for arrival in side.arrivals.of("tick")][2:]
    behind = [at - sent[0] - number for number, at in enumerate(sent)]
    each = (median(behind[-5:]) - median(behind[:5])) / (len(behind) - 5)
    return f"{1000 * each:.1f} ms later with each tick: {3600 * each:.0f} s an hour"
