"""`manage.py alive worker|beat`: the liveness probe of a container (manage.py itself takes a shorter way to it)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import pulse


class Command(BaseCommand):
    help = "Exit 0 if every worker (or beat) of this host lives, else 1. Asks neither Redis nor the database."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=["worker", "beat"])

    def handle(self, *, kind: str, **_: Any) -> None:
        lives, sentence = pulse.verdict(kind)
        if not lives:
            raise CommandError(sentence)
        self.stdout.write(sentence)
