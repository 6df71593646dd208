"""Cases in which the job of a tick still runs at the next one. A worker of the side's own runs them."""

import json
import time
from collections import Counter

from bench.cases.case import case
from bench.rows import Row
from bench.sides import Side

POLICIES = ("allow", "skip", "queue", "cancel")
SECONDS = 3


@case("overlap", "jobs of 3 s every second, 12 children; ours allow, skip, queue, cancel")
def overlap(side: Side) -> str:
    side.arrivals.end()
    side.add(*map(_slow, POLICIES))
    side.worker(concurrency=12)
    side.beat()
    time.sleep(10)
    journal = (side.data / "journal").read_text().splitlines() if (side.data / "journal").exists() else []
    most = _at_once(journal)
    return "most at once: " + ", ".join(f"{name} {most[name]}" for name in POLICIES)


def _slow(name: str) -> Row:
    columns = {"task": "bench.slow", "args": json.dumps([name, SECONDS])}
    return Row(name, every=1, columns=columns, policy={"overlap": name})


def _at_once(journal: list[str]) -> Counter[str]:
    """The most that ran at the same time, by key."""
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for line in journal:
        _, what, key = line.split()
        now[key] += 1 if what == "began" else -1
        most[key] = max(most[key], now[key])
    return most
