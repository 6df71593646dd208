"""What the commands share: refusals as one line, listings as a table or JSON, the arguments of a job, progress."""

import argparse
import getpass
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.api.answers import written
from jobs.errors import DATABASE_DOWN, DatabaseAway, JobError

T = TypeVar("T")
BAR = 30
#: The largest whole number that a database takes.
MOST = 2**63 - 1


class StationCommand(BaseCommand):
    """A command whose refusals are one line on stderr and exit code 1; wrong usage is 2 (argparse)."""

    requires_system_checks = []

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except JobError as refused:
            raise CommandError(str(refused)) from refused
        except DATABASE_DOWN as away:
            raise CommandError(str(DatabaseAway())) from away

    def run_verb(self, options: Mapping[str, Any]) -> None:
        """Call the method of the chosen verb with what it takes: `jobs list` calls `list_`."""
        method = getattr(self, f"{options['verb']}_")
        method(**{name: options[name] for name in inspect.signature(method).parameters})

    def tell(self, text: str) -> None:
        self.stdout.write(text)

    def tell_json(self, value: Any) -> None:
        self.stdout.write(written(value).decode())

    def show(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
        """The rows as one JSON array, or as a table of these columns."""
        if as_json:
            self.tell_json(list(rows))
            return
        lines = [[column.upper() for column in columns], *([_cell(row.get(c)) for c in columns] for row in rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        for line in lines:
            self.tell("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def progress(self, steps: Iterable[T], total: int, doing: str) -> Iterator[T]:
        """The steps, drawn as a bar on stderr while they are taken, if that is a terminal."""
        drawn = self.stderr.isatty()
        for done, step in enumerate(steps, 1):
            yield step
            if drawn:
                filled = "#" * (BAR * done // max(total, 1))
                self.stderr.write(f"\r{doing} [{filled:<{BAR}}] {done:,}/{total:,}", ending="")
        if drawn:
            self.stderr.write("")

    def refuse(self, refused: Sequence[str]) -> None:
        """Exit 1 with one line, if anything was refused."""
        if refused:
            raise CommandError(" ".join(refused))


def verbs(parser: CommandParser) -> Any:
    """The subparsers of a command with verbs; one must be chosen."""
    return parser.add_subparsers(dest="verb", required=True, metavar="VERB")


def add_json(parser: Any) -> None:
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")


def add_reason(parser: Any) -> None:
    parser.add_argument("--reason", default="", help="why, for the activity record")


def add_arguments_of_a_job(parser: Any) -> None:
    parser.add_argument("--args", type=json_list, dest="job_args", metavar="JSON", help="positional arguments: a list")
    parser.add_argument("--kwargs", type=json_object, dest="job_kwargs", metavar="JSON", help="by name: an object")


def number(most: int) -> Callable[[str], int]:
    """What `add_argument(type=)` takes for a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a whole number from 1 to {most:,}")
        return int(text)

    return read


def person() -> str:
    """Who runs the command, for the activity record."""
    try:
        return f"{getpass.getuser()} (command)"
    except (KeyError, OSError):  # a container's user without a name
        return "command"


def json_list(text: str) -> list[Any]:
    return _json(text, list, "a JSON list, such as '[1, 2]'")


def json_object(text: str) -> dict[str, Any]:
    return _json(text, dict, "a JSON object, such as '{\"name\": 1}'")


def _json(text: str, kind: type[T], wanted: str) -> T:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value


def _cell(value: Any) -> str:
    return "-" if value in (None, "") else str(value)
