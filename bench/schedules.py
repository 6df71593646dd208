"""How late ticks are rung with 10,000 schedules of which 500 are due in one second, and what an idle beat costs.

`python -m bench.schedules [--quick] [--rounds 3] [--side ours] [--json]`; bench/README.md says what the numbers mean.
"""

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.keeper import Keeper
from bench.measured import Measured
from bench.servers import DURABLE, progress
from bench.sides import Ours, Side, Stock
from bench.statements import PREFIX
from tests.support.postgres import PostgresServer

#: Seconds from tick to rung at the 99th percentile, and statements a second of the idle scheduler: what is promised.
LATENESS, STATEMENTS = 0.25, 2.0
KINDS: tuple[type[Side], ...] = (Ours, Stock)


def main() -> None:
    options = _options()
    measured: dict[str, Measured] = {}
    with _ground() as (directory, postgres):
        for kind in KINDS:
            if options.side in (None, kind.name):
                side = kind(directory / f"{kind.name}.sqlite3", lambda: postgres, scale="1")
                measured[kind.name] = _measured(side, postgres, options)
    if options.json:
        print(json.dumps({name: asdict(one) for name, one in measured.items()}))
    else:
        _print(measured, options)
    ours = measured.get(Ours.name)
    raise SystemExit(ours is not None and (ours.late(99) > LATENESS or ours.statements.ticking > STATEMENTS))


def _measured(side: Side, postgres: PostgresServer, options: argparse.Namespace) -> Measured:
    """One side's numbers, on a database and a Valkey of its own."""
    try:
        side.level = "WARNING"
        side.on_postgres()
        side.prepare()
        return Keeper(side, postgres, options.schedules, options.due).measure(options.rounds, options.idle)
    finally:
        side.remove()


@contextmanager
def _ground() -> Iterator[tuple[Path, PostgresServer]]:
    with ExitStack() as end:
        directory = Path(tempfile.mkdtemp(prefix="stationmaster-bench-"))
        end.callback(shutil.rmtree, directory, ignore_errors=True)
        progress("starting PostgreSQL")
        postgres = PostgresServer(settings=f"{DURABLE} {PREFIX}")
        end.callback(postgres.remove)
        yield directory, postgres.start()


def _print(measured: dict[str, Measured], options: argparse.Namespace) -> None:
    progress("")
    print(f"{options.schedules:,} schedules; load {' '.join(f'{load:.1f}' for load in os.getloadavg())}\n")
    rows = {name: one.rows() for name, one in measured.items()}
    names = list(dict.fromkeys(label for told in rows.values() for label in told))
    print(f"{'':58}" + "".join(f"{name:>12}" for name in rows) + ("       ratio" if len(rows) > 1 else ""))
    for label in names:
        values = [told.get(label) for told in rows.values()]
        print(
            f"{label:58}"
            + "".join(f"{'-' if value is None else f'{value:,.3f}':>12}" for value in values)
            + _ratio(values)
        )
    for name, one in measured.items():
        print(f"\n{name}: " + "\n      ".join(one.remarks()))
    print(f"\nPromised: p99 at most {LATENESS} s; idle, at most {STATEMENTS:g} statements a second of the scheduler.")


def _ratio(values: list[float | None]) -> str:
    """Stock's to ours, where both have one."""
    if len(values) < 2 or not values[0] or values[1] is None:
        return ""
    return f"{values[1] / values[0]:>11.1f}x"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.schedules", description="How late ticks are rung.")
    parser.add_argument("--schedules", type=int, default=10_000, help="rows (default 10,000)")
    parser.add_argument("--due", type=int, default=500, help="of them due in one second (default 500)")
    parser.add_argument("--rounds", type=int, default=3, help="full minutes that are waited for (default 3)")
    parser.add_argument("--idle", type=float, default=20, help="seconds that an idle beat is listened to (default 20)")
    parser.add_argument("--side", choices=[kind.name for kind in KINDS], help="one of the two only")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 1,000 schedules, 50 due, one minute")
    parser.add_argument("--json", action="store_true", help="the numbers as one JSON object on standard output")
    options = parser.parse_args()
    if options.quick:
        options.schedules, options.due, options.rounds, options.idle = 1000, 50, 1, 5
    if options.due < 1 or options.schedules < 2 * options.due:
        parser.error("at least twice as many schedules as are due in a second")
    return options


if __name__ == "__main__":
    main()
