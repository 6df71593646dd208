"""`manage.py doctor`: every unsafe setting, one line each; exit 1 on an error."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from jobs.doctor.examination import examine
from jobs.doctor.finding import Finding, Severity
from jobs.management.command import StationCommand, add_json

COLOURS = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.FINE: "SUCCESS", Severity.INFO: "NOTICE"}


class Command(StationCommand):
    help = "Look for unsafe settings of broker, database, workers, beat, schedules and container; exit 1 on an error."

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *, as_json: bool, **_: Any) -> None:
        found = list(examine())
        counts = Counter(finding.severity for finding in found)
        if as_json:
            errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
            self.tell_json({"errors": errors, "warnings": warnings, "findings": [asdict(f) for f in found]})
        else:
            for finding in found:
                self.tell(self._line(finding))
        summary = f"{_counted(counts[Severity.ERROR], 'error')}, {_counted(counts[Severity.WARNING], 'warning')}."
        if counts[Severity.ERROR]:
            self.refuse([summary])
        if not as_json:
            self.tell(summary)

    def _line(self, finding: Finding) -> str:
        colour = getattr(self.style, COLOURS[finding.severity])
        line = f"{colour(f'{finding.severity:<8}')} {finding.subject:<10} {finding.says} {finding.do}"
        return " ".join(line.splitlines()).rstrip()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
