"""`manage.py run`: the whole station on this machine (`make run` calls it)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.errors import JobError
from jobs.supervisor.station import run


class Command(BaseCommand):
    help = "Runs the whole station: embedded Valkey, web, one worker per queue, and beat. Ctrl-C stops it."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run()
        except JobError as refused:
            raise CommandError(str(refused)) from refused
