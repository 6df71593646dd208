"""One run: everything started, broken fault by fault, mended, waited for, ended, and judged."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Event

from django.db import DatabaseError, InterfaceError

from jobs.conf import conf
from jobs.drill import crew, journal
from jobs.drill.bell import Bell
from jobs.drill.books import Books
from jobs.drill.crew import Crew
from jobs.drill.errors import DrillRunning, Interrupted, NotReady
from jobs.drill.ground import Ground
from jobs.drill.journal import Entry, Journal
from jobs.drill.stream import Stream
from jobs.drill.striking import Striker, chosen, patience
from jobs.drill.verdict import Verdict, judge
from jobs.ledger.patience import DatabaseDown
from jobs.supervisor import census
from jobs.supervisor.errors import AlreadyRunning
from jobs.supervisor.lock import only_one

WORKERS, BEATS = 2, 2
#: Seconds that a start may take: Celery loads the whole project.
START = 60


@dataclass(frozen=True)
class Outcome:
    """What a run leaves: its verdict, and what the journal says."""

    run: str
    seed: int
    journal: Journal
    verdict: Verdict
    entries: Sequence[Entry]


class Drill:
    """`held` open, `pass_time` while it works, then `finish` it."""

    def __init__(
        self, seconds: int, seed: int, say: Callable[[str], None], stop: Event, only: Sequence[str] = ()
    ) -> None:
        self.seconds, self.seed, self.say, self.stop, self.only = seconds, seed, say, stop, only
        self.run = f"drill-{datetime.now():%Y%m%d-%H%M%S}-{seed}"
        self.directory = journal.directory() / self.run
        self.journal, self.books = journal.of(self.run), Books(self.run)
        self.stream = Stream(self.run, self.journal, seed)
        self.crew = Crew(self.directory, {"PGAPPNAME": self.run[:63]})
        rng = random.Random(seed)  # noqa: S311  (to be repeated, not to be secret)
        self.ground = Ground(self.run, rng, self.crew, Bell(self.directory / "valkey"), stop)
        self.finished = False

    @contextmanager
    def held(self) -> Iterator["Drill"]:
        """The only drill of this DATA_DIR, everything started; nothing of it is left afterwards."""
        with _alone():
            census.kill(crew.marked)  # what a killed drill left
            self.directory.mkdir(parents=True)
            try:
                self._start()
                yield self
            finally:
                self._end()
                self._abandon()

    def pass_time(self) -> Iterator[int]:
        """Strike fault after fault; a step each second, until the time is over or somebody wishes to stop."""
        self.striker.start()
        for second in range(self.seconds):
            if self.stop.wait(1) or self.striker.trouble or self.stream.trouble:
                break
            yield second
        self.striker.end()

    def finish(self) -> Outcome:
        """Wait until everything has ended (or can't be expected to any more), end the processes, judge.

        Raises Interrupted when somebody wished to stop.
        """
        self.stream.end()
        if (trouble := [*self.striker.trouble, *self.stream.trouble]) and not self.stop.is_set():
            raise trouble[0]
        self.ground.wait(self._all_ended, 2 * patience())
        if self.stop.is_set():
            raise Interrupted(self.directory)
        self._end()
        self.finished = True
        entries = self.journal.entries()
        verdict = judge(entries, self.books.accounts(), conf().max_crashes)
        return Outcome(self.run, self.seed, self.journal, verdict, entries)

    def _start(self) -> None:
        self.ground.bell.open(self.crew)
        faults = chosen(self.ground, self.only)
        self.striker = Striker(self.ground, faults, self.books, self.stream, self.journal, self.say)
        self.crew.environment["REDIS_URL"] = self.ground.bell.url
        for _ in range(BEATS):
            self.crew.add_beat()
        for _ in range(WORKERS):
            self.crew.add_worker()
        if not self.ground.wait(self._ready, START) and not self.stop.is_set():
            raise NotReady(f"The drill's workers were not ready within {START} s.", self.directory)
        self.stream.start()

    def _ready(self) -> bool:
        for process in (*self.crew.workers, *self.crew.beats):
            if not process.running:
                raise NotReady(f"{process.part.name} ended at once.", self.directory)
        return self.striker.staffed()

    def _all_ended(self) -> bool:
        self.striker.revive()
        return self.books.live() == 0

    def _end(self) -> None:
        self.stream.over.set()
        self.crew.end()

    def _abandon(self) -> None:
        """A drill that was stopped halfway leaves no job behind that nobody would run."""
        if not self.finished:
            with suppress(DatabaseDown, DatabaseError, InterfaceError):
                self.books.abandon()


@contextmanager
def _alone() -> Iterator[None]:
    try:
        with only_one(journal.directory(), "a drill"):
            yield
    except AlreadyRunning as refused:
        raise DrillRunning(journal.directory(), refused.pid) from refused
