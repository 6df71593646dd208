"""One fault after the other, each accounted for before the next."""

from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread

from django.db import connections

from jobs.conf import conf
from jobs.drill import crew
from jobs.drill.books import Books
from jobs.drill.errors import UnknownFault
from jobs.drill.faults import FAULTS, Fault
from jobs.drill.ground import Ground, Stopped
from jobs.drill.journal import Journal
from jobs.drill.stream import Stream


class Striker(Thread):
    """Strikes until it is told that it is enough; what it stumbles over is kept in `trouble`."""

    def __init__(
        self,
        ground: Ground,
        faults: Sequence[Fault],
        books: Books,
        stream: Stream,
        journal: Journal,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(name="faults", daemon=True)
        self.ground, self.faults = ground, faults
        self.books, self.stream, self.journal, self.say = books, stream, journal, say
        self.enough = Event()
        self.trouble: list[BaseException] = []

    def run(self) -> None:
        try:
            self.ground.hold(conf().heartbeat)
            for number, fault in enumerate(self._deck(), 1):
                if self.enough.is_set():
                    break
                self.strike(number, fault)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  (the main thread raises it again)
            self.trouble.append(error)
        finally:
            connections.close_all()

    def strike(self, number: int, fault: Fault) -> None:
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
        calm = self.ground.wait(lambda: self._calm(struck, before), patience())
        self.journal.write("calm" if calm else "overdue", number)
        self.ground.hold(conf().heartbeat / 2, conf().heartbeat * 1.5)

    def end(self) -> None:
        """No further fault; the one under way is mended and accounted for."""
        self.enough.set()
        self.join()

    def revive(self) -> None:
        """No fault of ours ends a process without starting it again: who is gone ended by itself."""
        for name in self.ground.crew.revive():
            self.journal.write("revived", name)
            self.say(f"{name} had ended by itself; it was started again.")

    def staffed(self) -> bool:
        """Every worker is there; one that still starts while the next is struck would make two faults of one."""
        pids = [crew.pid(worker) for worker in self.ground.crew.workers]
        return self.books.workers(pids) == len(pids)

    def _deck(self) -> Iterator[Fault]:
        """Every fault, again and again, each round in another order."""
        while True:
            yield from self.ground.rng.sample(self.faults, len(self.faults))

    def _calm(self, struck: set[str], before: int) -> bool:
        self.revive()
        flows = self.books.ended(self.stream.accepted[before:]) > 0
        return flows and self.books.ended(struck) == len(struck) and self.staffed()


def chosen(ground: Ground, names: Sequence[str]) -> list[Fault]:
    """The faults of these names, or all that can be made here; UnknownFault for one that can't."""
    possible = [fault for fault in FAULTS if fault.possible(ground)]
    for name in names:
        if name not in {fault.name for fault in possible}:
            raise UnknownFault(name, [fault.name for fault in possible])
    return [fault for fault in possible if not names or fault.name in names]


def patience() -> float:
    """Seconds in which a struck job must have ended: silence, rescue, every crash's backoff, and slow machines."""
    return conf().silence + conf().heartbeat + 2 * conf().rescue_every + sum(conf().crash_backoff) + 30
