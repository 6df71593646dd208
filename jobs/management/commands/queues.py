"""`manage.py queues list|pause|resume|purge`."""

from typing import Any

from django.core.management.base import CommandParser

from jobs import operations
from jobs.figures import queue_figures
from jobs.management.command import StationCommand, add_json, add_reason, person, verbs

COLUMNS = ("name", "depth", "oldest_wait", "running", "limit", "workers", "paused")


class Command(StationCommand):
    help = "Show, pause, resume and purge queues."

    def add_arguments(self, parser: CommandParser) -> None:
        verb = verbs(parser)
        add_json(verb.add_parser("list", help="depth, oldest wait in seconds, running, limit, workers, paused"))
        for name, says in (
            ("pause", "its jobs stay queued until it is resumed"),
            ("resume", "its jobs may start again"),
            ("purge", "cancel all its waiting jobs"),
        ):
            one = verb.add_parser(name, help=says)
            one.add_argument("queue")
            add_reason(one)

    def handle(self, **options: Any) -> None:
        self.run_verb(options)

    def list_(self, *, as_json: bool) -> None:
        self.show(queue_figures(), COLUMNS, as_json=as_json)

    def pause_(self, *, queue: str, reason: str) -> None:
        paused = operations.pause(queue, by=person(), reason=reason)
        self.tell(f"{queue} is paused." if paused else f"{queue} was paused already; nothing changed.")

    def resume_(self, *, queue: str, reason: str) -> None:
        resumed = operations.resume(queue, by=person(), reason=reason) is not None
        self.tell(f"{queue} is resumed." if resumed else f"{queue} was not paused; nothing changed.")

    def purge_(self, *, queue: str, reason: str) -> None:
        count = operations.purge(queue, by=person(), reason=reason)
        self.tell(f"{queue}: {count:,} jobs cancelled.")
