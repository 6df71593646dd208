"""Thirteen kinds of corrupt rows, each beside a good one (an interval of 1 s), there before beat starts."""

import time
from functools import partial

from bench.cases.case import case, often
from bench.rows import Row
from bench.sides import Side

CORRUPT: dict[str, tuple[str, Row]] = {
    "headers-list": ("headers are a JSON list", Row("bad", every=1, columns={"headers": "[]"})),
    "headers-text": ("headers are no JSON", Row("bad", every=1, columns={"headers": "no json"})),
    "args-text": ("args are no JSON", Row("bad", every=1, columns={"args": "no json"})),
    "kwargs-list": ("kwargs are a JSON list", Row("bad", every=1, columns={"kwargs": "[1]"})),
    "no-timing": ("no timing at all", Row("bad")),
    "bad-period": ("an interval's period is no word", Row("bad", every=(1, "fortnights"))),
    "huge-interval": ("an interval of 10^12 days", Row("bad", every=(10**12, "days"))),
    "every-zero": ("an interval of 0 s", Row("bad", every=0)),
    "hour-99": ("a crontab with hour 99", Row("bad", cron="* 99 * * *")),
    "minute-word": ("a crontab with minute `soon`", Row("bad", cron="soon * * * *")),
    "impossible-date": ("a crontab of 31 February", Row("bad", cron="0 * 31 2 *")),
    "unknown-zone": ("a crontab in an unknown zone", Row("bad", cron="* * * * *", zone="Mars/Olympus")),
    "unknown-queue": ("a queue that nobody declared", Row("bad", every=1, columns={"queue": "nowhere"})),
}


def beside_a_good_one(bad: Row, side: Side) -> str:
    side.add(Row("good", every=1), bad)
    beat = side.beat()
    time.sleep(7)
    good, sent = len(side.arrivals.of("good")), _sent(side)
    state = (
        f"good row {often(good)}" if beat.running else f"beat ended (exit {beat.popen.returncode}): good {often(good)}"
    )
    return f"{state}; bad row {often(sent)}, {side.told('bad') or 'no word'}"


def _sent(side: Side) -> int:
    """Also what went to a queue that nobody reads."""
    with side.valkey.client() as client:
        return len(side.arrivals.of("bad")) + sum(map(client.llen, client.scan_iter("*nowhere*", _type="list")))


for name, (title, row) in CORRUPT.items():
    case(f"corrupt-{name}", f"beside a good row: {title}")(partial(beside_a_good_one, row))
