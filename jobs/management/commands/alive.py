"""`manage.py alive worker|beat`: the liveness probe of a container."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import pulse


class Command(BaseCommand):
    help = "Exit 0 if every worker (or beat) of this host lives, else 1. Asks neither Redis nor the database."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=["worker", "beat"])

    def handle(self, *, kind: str, **_: Any) -> None:
        pulses = pulse.read(kind)
        if not pulses:
            raise CommandError(f"No {kind} runs on this host with the DATA_DIR that this command has.")
        stale = [f"{each.name} (pid {each.pid}) for {each.age:.0f} s" for each in pulses if not each.fresh]
        if stale:
            raise CommandError(f"No sign of life, though {pulse.bound():g} s are the bound: {', '.join(stale)}.")
        self.stdout.write(f"Alive: {', '.join(f'{each.name} (pid {each.pid})' for each in pulses)}.")
