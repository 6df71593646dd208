"""One run: everything started, broken fault by fault, mended, waited for, ended, and judged."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Thread

from django.db import DatabaseError, InterfaceError, connections

from jobs.conf import conf
from jobs.drill import crew, journal
from jobs.drill.bell import Bell
from jobs.drill.books import Books
from jobs.drill.crew import Crew
from jobs.drill.errors import DrillRunning, Interrupted, NotReady, UnknownFault
from jobs.drill.faults import FAULTS, Fault
from jobs.drill.ground import Ground, Stopped
from jobs.drill.journal import Entry, Journal
from jobs.drill.stream import Stream
from jobs.drill.verdict import Verdict, judge
from jobs.ledger.patience import DatabaseDown
from jobs.models import Worker
from jobs.supervisor import census
from jobs.supervisor.errors import AlreadyRunning
from jobs.supervisor.lock import only_one

WORKERS, BEATS = 2, 2
#: Seconds that a start may take: Celery loads the whole project.
START = 60
LOOK = 0.25


@dataclass(frozen=True)
class Outcome:
    """What a run leaves: its verdict, and what the journal says."""

    run: str
    seed: int
    journal: Journal
    verdict: Verdict
    entries: Sequence[Entry]


@dataclass
class Drill:
    """`hold` it open, `pass_time` while it works, then `finish` it."""

    seconds: int
    seed: int
    say: Callable[[str], None]
    stop: Event
    only: Sequence[str] = ()
    run: str = ""
    trouble: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.run = self.run or f"drill-{datetime.now():%Y%m%d-%H%M%S}-{self.seed}"
        self.directory = journal.directory() / self.run
        self.journal, self.books = journal.of(self.run), Books(self.run)
        self.stream = Stream(self.run, self.journal, self.seed)
        self.crew = Crew(self.directory, {"PGAPPNAME": self.run[:63]})
        rng = random.Random(self.seed)  # noqa: S311  (to be repeated, not to be secret)
        self.ground = Ground(self.run, rng, self.crew, Bell(self.directory / "valkey"), self.stop)
        self.faults: list[Fault] = []
        self.finished = False
        self.enough = Event()

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
        breaker = Thread(target=self._break, name="faults", daemon=True)
        breaker.start()
        for second in range(self.seconds):
            if self.stop.wait(1) or self.trouble:
                break
            yield second
        self.enough.set()
        breaker.join()

    def finish(self) -> Outcome:
        """Wait until everything has ended (or can't be expected to any more), end the processes, judge."""
        self.stream.end()
        if self.trouble and not self.stop.is_set():
            raise self.trouble[0]
        self._wait(self._ended, 2 * patience())
        if self.stop.is_set():
            raise Interrupted(self.directory)
        self._end()
        self.finished = True
        entries = self.journal.entries()
        verdict = judge(entries, self.books.accounts(), conf().max_crashes)
        return Outcome(self.run, self.seed, self.journal, verdict, entries)

    # --- starting and ending ---

    def _start(self) -> None:
        self.ground.bell.open(self.crew)
        self.faults = self._chosen()
        self.crew.environment["REDIS_URL"] = self.ground.bell.url
        for _ in range(BEATS):
            self.crew.add_beat()
        for _ in range(WORKERS):
            self.crew.add_worker()
        if not self._wait(self._ready, START) and not self.stop.is_set():
            raise NotReady(f"The drill's workers were not ready within {START} s.", self.directory)
        self.stream.start()

    def _ready(self) -> bool:
        pids = [crew.pid(worker) for worker in self.crew.workers]
        for process in (*self.crew.workers, *self.crew.beats):
            if not process.running:
                raise NotReady(f"{process.part.name} ended at once.", self.directory)
        return Worker.objects.filter(pid__in=pids, stopped_at=None).count() == len(pids)

    def _end(self) -> None:
        self.stream.over.set()
        self.crew.end()

    def _abandon(self) -> None:
        """A drill that was stopped halfway leaves no job behind that nobody would run."""
        if not self.finished:
            with suppress(DatabaseDown, DatabaseError, InterfaceError):
                self.books.abandon()

    # --- breaking ---

    def _break(self) -> None:
        try:
            self.ground.hold(conf().heartbeat)
            for number, fault in enumerate(self._deck(), 1):
                if self.enough.is_set():
                    break
                self._strike(number, fault)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  (raised again in the main thread)
            self.trouble.append(error)
        finally:
            connections.close_all()

    def _deck(self) -> Iterator[Fault]:
        """Every fault that can be made here, again and again, each round in another order."""
        while True:
            yield from self.ground.rng.sample(self.faults, len(self.faults))

    def _strike(self, number: int, fault: Fault) -> None:
        """One fault, then quiet until what it struck has ended and new jobs end again."""
        struck = self.books.running()
        self.say(f"{number}: {fault.name}")
        self.journal.write("strike", number, fault.name.replace(" ", "_"))
        try:
            if fault.strike(self.ground) == 0:
                self.journal.write("void", number)
        finally:
            self.journal.write("mended", number, ",".join(sorted(struck)) or "-")
        before = len(self.stream.accepted)
        calm = self._wait(lambda: self._calm(struck, before), patience())
        self.journal.write("calm" if calm else "overdue", number)
        self.ground.hold(conf().heartbeat / 2, conf().heartbeat * 1.5)

    def _calm(self, struck: set[str], before: int) -> bool:
        self._revive()
        return self.books.ended(self.stream.accepted[before:]) > 0 and self.books.ended(struck) == len(struck)

    def _ended(self) -> bool:
        self._revive()
        return self.books.live() == 0

    def _revive(self) -> None:
        """No fault of ours ends a process without starting it again: who is gone ended by itself."""
        for name in self.crew.revive():
            self.journal.write("revived", name)
            self.say(f"{name} had ended by itself; it was started again. Its log is in {self.directory}.")

    def _wait(self, look: Callable[[], bool], timeout: float) -> bool:
        """Whether `look` became true in time, before somebody wished to stop."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not self.stop.is_set():
            if look():
                return True
            self.stop.wait(LOOK)
        return False

    def _chosen(self) -> list[Fault]:
        """The faults that were asked for, or all; UnknownFault for what can't be made here."""
        possible = [fault for fault in FAULTS if fault.possible(self.ground)]
        for name in self.only:
            if name not in {fault.name for fault in possible}:
                raise UnknownFault(name, [fault.name for fault in possible])
        return [fault for fault in possible if not self.only or fault.name in self.only]


def patience() -> float:
    """Seconds in which a struck job must have ended: silence, rescue, every crash's backoff, and slow machines."""
    return conf().silence + conf().heartbeat + 2 * conf().rescue_every + sum(conf().crash_backoff) + 30


@contextmanager
def _alone() -> Iterator[None]:
    try:
        with only_one(journal.directory(), "a drill"):
            yield
    except AlreadyRunning as refused:
        raise DrillRunning(journal.directory(), refused.pid) from refused
