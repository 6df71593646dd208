"""One supervisor a DATA_DIR: the lock goes with its process, however it ends."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from os import getpid
from pathlib import Path

from jobs.supervisor.errors import AlreadyRunning


@contextmanager
def only_one(directory: Path, url: str) -> Iterator[None]:
    """Hold the directory; AlreadyRunning, which names the holder, if another process does."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(str(directory), *_holder(directory)) from None
        file.truncate(0)
        file.write(json.dumps({"pid": getpid(), "url": url}))
        file.flush()
        yield
        file.truncate(0)


def _holder(directory: Path) -> tuple[int | None, str | None]:
    try:
        said = json.loads((directory / "run.lock").read_text())
    except ValueError:  # it has only just taken the lock
        return None, None
    return said["pid"], said["url"]
