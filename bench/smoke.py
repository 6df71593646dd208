"""How fast a backlog of no-op jobs drains: ours beside plain Celery, in interleaved rounds.

`python -m bench.smoke [--jobs 2000] [--rounds 3] [--json]`; bench/README.md says what the numbers mean.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench.contenders import CONTENDERS, Contender, PlainRedis
from bench.servers import progress, servers
from tests.support.processes import Process

LOOK_EVERY = 0.05
PATIENCE = 300.0


def main() -> None:
    options = _options()
    with _contenders() as contenders:
        rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        for number in range(1, options.rounds + 1):
            for contender in contenders:
                rate = drain(contender, options.jobs, f"round {number}/{options.rounds}  {contender.name}")
                rates[contender.name].append(rate)
    medians = {name: median(values) for name, values in rates.items()}
    _print(medians, rates, options)


def drain(contender: Contender, jobs: int, title: str) -> float:
    """Jobs a second, from 5 % done to the last result stored; the worker's start is left out."""
    contender.clear()
    progress(f"{title}: queueing {jobs:,}")
    contender.fill(jobs)
    worker = contender.worker()
    try:
        return _rate(contender, worker, jobs, title)
    finally:
        worker.stop()


def _rate(contender: Contender, worker: Process, jobs: int, title: str) -> float:
    deadline = time.monotonic() + PATIENCE
    begun: tuple[float, int] | None = None
    while True:
        done, now = contender.stored(), time.monotonic()
        if begun is None and done >= jobs * 0.05:
            begun = (now, done)
        if done >= jobs:
            assert begun is not None
            rate = (jobs - begun[1]) / max(now - begun[0], LOOK_EVERY)
            progress(f"{title}: {rate:,.0f} jobs/s", end="\n")
            return rate
        if not worker.running or now > deadline:
            raise SystemExit(f"{contender.name} stopped at {done:,} of {jobs:,}:\n{worker.output()[-3000:]}")
        progress(f"{title}: {done:,} of {jobs:,}")
        time.sleep(LOOK_EVERY)


@contextmanager
def _contenders() -> Iterator[list[Contender]]:
    """All of them, ready to run, on one PostgreSQL and one Valkey that are started here and end here."""
    with ExitStack() as end:
        postgres, valkey = end.enter_context(servers())
        made = []
        for number, kind in enumerate(CONTENDERS):
            data = Path(tempfile.mkdtemp(prefix="stationmaster-bench-"))
            end.callback(shutil.rmtree, data, ignore_errors=True)
            database = postgres.create_database(f"bench_{number}")
            contender = kind(data, database, valkey.url.replace("/0", f"/{number}"))
            contender.prepare()
            end.callback(contender.close)
            made.append(contender)
        yield made


def _print(medians: dict[str, float], rates: dict[str, list[float]], options: argparse.Namespace) -> None:
    progress("")
    if options.json:
        print(json.dumps({"jobs": options.jobs, "rounds": options.rounds, "medians": medians, "rates": rates}))
        return
    base = medians[PlainRedis.name]
    print(f"\n{options.jobs:,} no-op jobs, prefork -c 2, median of {options.rounds} interleaved rounds\n")
    print(f"{'':32}{'jobs/s':>10}{'ratio':>9}   {'range':<15}")
    for name, rate in medians.items():
        low, high = min(rates[name]), max(rates[name])
        print(f"{name:32}{rate:>10,.0f}{rate / base:>8.2f}x   {low:,.0f} to {high:,.0f}")
    print(f"\nRatio: to {PlainRedis.name}. Only ratios of one run on one machine mean anything.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.smoke", description="How fast a backlog drains.")
    parser.add_argument("--jobs", type=int, default=2000, help="jobs in the backlog (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, every contender in each (default 3)")
    parser.add_argument("--json", action="store_true", help="the numbers as one JSON object on standard output")
    options = parser.parse_args()
    if options.jobs < 100 or options.rounds < 1:
        parser.error("at least 100 jobs and 1 round")
    return options


if __name__ == "__main__":
    main()
