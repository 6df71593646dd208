"""`manage.py create_token NAME --scope S`: a key to the API, alone on standard output."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from jobs.api.tokens import create_token
from jobs.management.command import StationCommand, person
from jobs.models import Token


class Command(StationCommand):
    help = "Make a token for the API. It is printed once and kept as a hash only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what it is for; the activity record shows it")
        parser.add_argument("--scope", required=True, choices=Token.Scope.values)

    def handle(self, *, name: str, scope: str, **_: Any) -> None:
        try:
            self.tell(create_token(name, scope, by=person()))
        except ValueError as refused:
            raise CommandError(str(refused)) from refused
