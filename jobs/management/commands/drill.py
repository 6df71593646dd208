"""`manage.py drill`: break a staging system on purpose, and show that nothing was lost."""

import random
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor

from jobs.drill import report
from jobs.drill.drill import Drill, Outcome
from jobs.drill.errors import NotAllowed, NotConfirmed, NotMigrated
from jobs.drill.verdict import sentences
from jobs.management.command import StationCommand, add_json, number
from jobs.models import Job
from jobs.supervisor.wishes import Wishes

WORD = "break"
DAY = 86_400


class Command(StationCommand):
    help = (
        "Breaks a staging system on purpose: enqueues a steady stream of jobs, kills and freezes workers and beats of "
        "its own, empties Redis, stops the database for moments, and then counts every job. Needs JOBS_ALLOW_DRILL=1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=number(DAY), default=600, help="how long (600)")
        parser.add_argument("--seed", type=number(2**31), help="repeats the order of faults and jobs of another run")
        parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="only this one; repeatable")
        parser.add_argument("--yes", action="store_true", help="don't ask")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.JOBS["ALLOW_DRILL"]:
            raise NotAllowed
        seed = options["seed"] or random.randint(1, 2**31)  # noqa: S311  (not a secret)
        _refuse_old_tables()
        if not options["yes"]:
            self._confirm(options["seconds"])
        drill = Drill(options["seconds"], seed, self._note, Wishes().stop, options["fault"])
        with drill.held():
            for _ in self.progress(drill.pass_time(), drill.seconds, f"Drill with seed {seed}"):
                pass
            if not drill.stop.is_set():
                self.stderr.write("Everything is mended; waiting for the last jobs to end.")
            outcome = drill.finish()
        self._tell(outcome, as_json=options["as_json"])

    def _confirm(self, seconds: int) -> None:
        database = connections[router.db_for_write(Job)].settings_dict
        self.stderr.write(
            f"For {seconds} s this stops the database {database['NAME']} for moments, makes its Redis forget all hints "
            f"and kills workers that it starts itself. Jobs of others wait meanwhile. Type {WORD} to begin:"
        )
        try:
            typed = input().strip()
        except EOFError:  # nobody is there
            typed = ""
        if typed != WORD:
            raise NotConfirmed(typed, WORD)

    def _note(self, line: str) -> None:
        """One plain line; on a terminal the bar says enough."""
        if not self.stderr.isatty():
            self.stderr.write(line)

    def _tell(self, outcome: Outcome, *, as_json: bool) -> None:
        verdict = outcome.verdict
        if as_json:
            self.tell_json(report.facts(outcome))
        else:
            self.show(report.table(outcome), report.COLUMNS, as_json=False)
            self.tell(
                f"\n{verdict.accepted} jobs accepted, {verdict.again} ran again, ended: {_counts(verdict.states)}"
            )
            for name, times in report.revived(outcome).items():
                self.tell(f"{name} ended by itself and was started again, {times} times")
            if verdict.given_up:
                self.tell(f"{verdict.given_up} were given up because their workers died under them too often")
            self.tell(f"Seed {outcome.seed}; the journal is {outcome.journal.path}")
            for found in (verdict.lost, verdict.doubled, verdict.unfinished):
                self.refused_jobs(sentences(found))
            self.tell(str(verdict))
        if not verdict.clean:
            self.refuse([f"The drill failed: {verdict} of {verdict.accepted} accepted jobs."])
        if not report.strikes(outcome.entries):
            self.refuse(["The drill proves nothing: no fault was made. Give it more --seconds."])

    def refused_jobs(self, lines: Any) -> None:
        for line in lines:
            self.tell(line)


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def _refuse_old_tables() -> None:
    executor = MigrationExecutor(connections[router.db_for_write(Job)])
    if missing := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotMigrated(len(missing))
