"""How schedules are kept: stock django-celery-beat and ours, the same case on each, with real beats.

`python -m bench.keeping [CASE ...] [--list] [--side stock] [--json]`; docs/schedules.md tells what came out.
"""

import argparse
import json
import shutil
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.cases import CASES, Case
from bench.servers import DURABLE, progress
from bench.sides import Ours, Side, Stock
from tests.support.postgres import PostgresServer

KINDS: tuple[type[Side], ...] = (Stock, Ours)
WIDTHS = (30, 42, 42)


def main() -> None:
    options = _options()
    chosen = [CASES[name] for name in options.cases or CASES]
    found = {}
    with _ground() as ground:
        for case in chosen:
            progress(f"{case.name}: {case.title}")
            began = time.monotonic()
            found[case.name] = ground.told(case, [kind for kind in KINDS if options.side in (None, kind.name)])
            progress("")
            if not options.json:
                _print(case, found[case.name], time.monotonic() - began)
    if options.json:
        print(json.dumps(found, indent=1))


class Ground:
    """What all cases of a run share: migrated databases to copy, and a PostgreSQL for those that ask for one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.postgres = PostgresServer(settings=DURABLE)
        self.starting = threading.Lock()
        for kind in KINDS:
            self._side(kind).prepare().remove()

    def told(self, case: Case, kinds: list[type[Side]]) -> dict[str, str]:
        """What happened, by side; they run at the same time."""
        with ThreadPoolExecutor(len(kinds)) as pool:
            told = list(pool.map(partial(self._one, case), kinds))
        return {kind.name: said for kind, said in zip(kinds, told, strict=True)}

    def _one(self, case: Case, kind: type[Side]) -> str:
        side = self._side(kind, scale=case.scale).prepare()
        try:
            return case.run(side)
        finally:
            side.remove()

    def _side(self, kind: type[Side], **more: str) -> Side:
        return kind(self.directory / f"{kind.name}.sqlite3", self._server, **more)

    def _server(self) -> PostgresServer:
        """The first case that asks starts it."""
        with self.starting:
            return self.postgres.start()


@contextmanager
def _ground() -> Iterator[Ground]:
    directory = Path(tempfile.mkdtemp(prefix="stationmaster-bench-"))
    try:
        ground = Ground(directory)
        try:
            yield ground
        finally:
            ground.postgres.remove()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _print(case: Case, told: dict[str, str], seconds: float) -> None:
    """One row of the table, its cells wrapped."""
    texts = (f"{case.name}: {case.title} ({seconds:.0f} s)", *(f"{name}: {said}" for name, said in told.items()))
    cells = [textwrap.wrap(text, width) for text, width in zip(texts, WIDTHS, strict=False)]
    for line in range(max(map(len, cells))):
        row = (f"{(cell[line] if line < len(cell) else ''):{w}}" for cell, w in zip(cells, WIDTHS, strict=False))
        print(" | ".join(row).rstrip())
    print("-" * (sum(WIDTHS) + 6), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.keeping", description="Stock schedules beside ours.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases to run (default: all)")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--side", choices=[kind.name for kind in KINDS], help="one of the two only")
    parser.add_argument("--json", action="store_true", help="what happened as one JSON object on standard output")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{case.name:22} {case.title}" for case in CASES.values()))
        raise SystemExit
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; --list names them")
    return options


if __name__ == "__main__":
    main()
