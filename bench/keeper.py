"""One beat that keeps many schedules, measured: its start, its idling, edits, and how late its ticks are rung."""

import time
from datetime import UTC, datetime
from statistics import median

import psutil

from bench import many
from bench.arrivals import Arrival
from bench.measured import Lateness, Measured
from bench.servers import progress
from bench.sides import Side
from bench.statements import listen
from tests.support.postgres import PostgresServer
from tests.support.processes import Process

MINUTE = 60
#: Seconds before the first full minute at which the rows are made due.
LEAD_IN = 20
#: Seconds before the next full minute at which the last jobs have had their time.
TAIL = 35
#: How an edit is made: of the row `pulse`, whose next job tells that beat has seen it.
EDITS = {
    "save()": "row = PeriodicTask.objects.get(name='pulse'); row.enabled = True; row.save()",
    "queryset.update()": "PeriodicTask.objects.filter(name='pulse').update(enabled=True)",
    "raw SQL": "from django.db import connection\n"
    "connection.cursor().execute(\"UPDATE django_celery_beat_periodictask SET enabled = true WHERE name = 'pulse'\")",
}
#: Seconds that an edit is given.
PATIENCE = 30.0


class Keeper:
    """Does the measuring, in the order of the methods."""

    def __init__(self, side: Side, postgres: PostgresServer, schedules: int, due: int) -> None:
        self.side, self.postgres, self.schedules, self.due = side, postgres, schedules, due
        self.measured = Measured()

    def measure(self, rounds: int, idle: float) -> Measured:
        """Everything, in a few minutes; `rounds` full minutes are waited for."""
        self._say("filling")
        many.fill(self.side, self.schedules, self.due)
        beat, self.measured.start = self._started()
        self._settled()
        self._say(f"idle for {idle:g} s")
        self.measured.statements = listen(self.postgres, self.side.database_url.rpartition("/")[2], idle)
        self.measured.memory = psutil.Process(beat.pid).memory_info().rss
        for how, code in EDITS.items():
            self.measured.edits[how] = self._edits(how, code)
        self._rounds(rounds)
        many.rest(self.side)
        self._settled()
        beat.stop()
        beat, self.measured.start_again = self._started()
        beat.stop()
        return self.measured

    def _started(self) -> tuple[Process, float]:
        """A beat, and the seconds from its start to the first job of the pulse, which is stopped again."""
        self._say("starting beat")
        many.feel(self.side, on=True)
        began = time.time()
        beat = self.side.start("beat")
        if (came := self._pulse_after(began, 180)) is None:
            raise SystemExit(f"{self.side.name}: no tick within 180 s:\n{beat.output()[-3000:]}")
        many.feel(self.side, on=False)
        return beat, came - began

    def _pulse_after(self, moment: float, patience: float) -> float | None:
        """When the first job of the pulse came; None if none did."""
        while time.time() < moment + patience:
            if came := [arrival.host for arrival in self.side.arrivals.of("pulse") if arrival.host > moment]:
                return came[0]
            time.sleep(0.02)
        return None

    def _settled(self) -> None:
        """Wait until every edit is read, and no pulse was felt for 8 s."""
        self._say("waiting until all is read")
        since = time.time()
        while time.time() < self._last_pulse(since) + 8 or self.side.unread():
            time.sleep(0.2)

    def _last_pulse(self, since: float) -> float:
        return max([since, *(arrival.host for arrival in self.side.arrivals.of("pulse"))])

    def _edits(self, how: str, code: str) -> float | None:
        """The median of three; None if one was not seen."""
        times = [self._edited(how, code) for _ in range(3 if how in self.side.sees else 1)]
        return None if None in times else median(time for time in times if time is not None)

    def _edited(self, how: str, code: str) -> float | None:
        self._say(f"an edit by {how}")
        at = float(self.side.shell(f"{code}\nimport time; print(time.time())"))
        came = self._pulse_after(at, PATIENCE)
        many.feel(self.side, on=False)
        self._settled()
        return came - at if came else None

    def _rounds(self, rounds: int) -> None:
        begin = (time.time() + LEAD_IN) // MINUTE * MINUTE + MINUTE
        many.make_due(self.side, self.due, datetime.fromtimestamp(begin, UTC))
        end = begin + MINUTE * rounds - TAIL
        while (left := end - time.time()) > 0:
            self._say(f"{left:.0f} s to go, {len(self.side.arrivals.popped):,} messages came")
            time.sleep(min(left, 1))
        came = [arrival for arrival in self.side.arrivals.all() if arrival.host >= begin]
        minutely = [_late(arrival, begin, MINUTE) for arrival in came if arrival.name.startswith("minutely-")]
        self.measured.lateness["all at the full minute"] = Lateness(minutely, rounds * self.due - len(minutely))
        if self.side.anchored:
            self._spread(came, begin, len(range(many.SPREAD_AT, int(end - begin), many.SPREAD_EVERY)))

    def _spread(self, came: list[Arrival], begin: float, rounds: int) -> None:
        spread = [
            _late(arrival, begin + many.SPREAD_AT + many.offset(arrival.name, self.due), many.SPREAD_EVERY)
            for arrival in came
            if arrival.name.startswith("spread-")
        ]
        self.measured.lateness["spread over a second"] = Lateness(spread, rounds * self.due - len(spread))

    def _say(self, text: str) -> None:
        progress(f"{self.side.name}: {text}")


def _late(arrival: Arrival, first: float, every: float) -> tuple[float, float]:
    """The tick that a job is of, and its lateness. One that came too early would be almost an interval late."""
    late = (arrival.host - first) % every
    return arrival.host - late, late
