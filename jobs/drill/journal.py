"""What really happened, told outside Redis and the database: a file of lines that is only ever added to."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True)
class Entry:
    """One line: when (seconds since 1970), what, and of whom."""

    at: float
    event: str
    words: tuple[str, ...]


class Journal:
    """One run's journal. A line that `write` has returned from outlives this process and the machine's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, *words: object) -> None:
        """Add one line; those of several processes don't mix."""
        line = " ".join([f"{time.time():.3f}", event, *map(str, words)])
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, f"{line}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)

    def entries(self) -> list[Entry]:
        """Every line so far, in order."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [_entry(line) for line in lines]


def directory() -> Path:
    """Where the runs lie, one directory each."""
    return Path(settings.DATA_DIR) / "drill"


def of(run: str) -> Journal:
    """The journal of a run, by its name; a name can't lead out of the directory."""
    return Journal(directory() / Path(run).name / "journal")


def _entry(line: str) -> Entry:
    at, event, *words = line.split()
    return Entry(float(at), event, tuple(words))
