"""`manage.py schedules list|sync|preview`."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django_celery_beat.models import PeriodicTask

from jobs.management.command import StationCommand, add_json, number, verbs
from jobs.schedules import builtin
from jobs.schedules.preview import next_ticks, words

MOST_TICKS = 10_000
COLUMNS = ("name", "task", "words", "enabled", "next", "last_run")


class Command(StationCommand):
    help = "Show the schedules and their next ticks; add the built-in ones that are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        verb = verbs(parser)
        add_json(verb.add_parser("list", help="every schedule with its next tick"))
        verb.add_parser("sync", help="add missing built-in schedules; edited ones stay as they are")
        preview = verb.add_parser("preview", help="the next ticks of one schedule")
        preview.add_argument("name")
        preview.add_argument("--count", type=number(MOST_TICKS), default=5)
        add_json(preview)

    def handle(self, **options: Any) -> None:
        self.run_verb(options)

    def list_(self, *, as_json: bool) -> None:
        self.show([_shown(row, 5 if as_json else 1, as_json) for row in _rows()], COLUMNS, as_json=as_json)

    def sync_(self) -> None:
        before = _rows().count()
        builtin.install()
        self.tell(f"{_rows().count() - before} schedules added, {before} left as they are.")

    def preview_(self, *, name: str, count: int, as_json: bool) -> None:
        row = _rows().filter(name=name).first()
        if row is None:
            raise CommandError(f"No schedule is named {name!r}. `schedules list` shows what there is.")
        ticks = [{"tick": tick.isoformat()} for tick in next_ticks(row, count)]
        self.show(ticks, ("tick",), as_json=as_json)


def _rows() -> Any:
    return PeriodicTask.objects.select_related("interval", "crontab", "clocked", "solar").order_by("name")


def _shown(row: PeriodicTask, number: int, as_json: bool) -> dict[str, Any]:
    ticks = [tick.isoformat() for tick in next_ticks(row, number)]
    return {
        "name": row.name,
        "task": row.task,
        "words": words(row),
        "enabled": row.enabled,
        "next": ticks if as_json else next(iter(ticks), None),
        "last_run": row.last_run_at.isoformat() if row.last_run_at else None,
    }
