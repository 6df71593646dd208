"""This process' place: DATA_DIR, where outcomes lie while the database is away, and how open the web is."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from jobs.doctor.finding import About, Finding
from jobs.ledger import spool

ABOUT = About("container")
#: File systems that end with the host's power, and with the container.
VOLATILE = {"tmpfs": "a restart", "ramfs": "a restart", "overlay": "a new container"}
#: Bytes free that are few, and seconds after which an entry of the spool should have been told.
ROOM, STALE = 512 * 1024 * 1024, 300
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Facts:
    directory: str
    #: Why nothing can be written there, or "".
    refused: str = ""
    filesystem: str = ""
    free: int = 1 << 40
    #: Entries of the spool: older than STALE, and set aside because nobody can tell them.
    stale: int = 0
    aside: int = 0
    debug: bool = False
    host: str = "127.0.0.1"
    allowed: tuple[str, ...] = ()


def examine() -> Iterator[Finding]:
    yield from findings(gather())


def gather() -> Facts:
    directory = Path(settings.DATA_DIR)
    return Facts(
        directory=str(directory),
        refused=_refused(directory),
        filesystem=filesystem(spool.directory(), _mounts()),
        free=shutil.disk_usage(_existing(directory)).free,
        stale=_stale(),
        aside=len(spool.unreadable()),
        debug=settings.DEBUG,
        host=settings.HOST,
        allowed=tuple(settings.ALLOWED_HOSTS),
    )


def findings(facts: Facts) -> Iterator[Finding]:
    found = [*_directory(facts), *_spool(facts), *_web(facts)]
    yield from found or [ABOUT.fine(f"DATA_DIR {facts.directory} can be written, {facts.free // 2**20:,} MB are free.")]


def _directory(facts: Facts) -> Iterator[Finding]:
    if facts.refused:
        says = f"DATA_DIR {facts.directory} can't be written ({facts.refused})"
        why = "outcomes have no place while the database is away, and the probe no pulse."
        yield ABOUT.error("data_dir", f"{says}: {why}", "Let this user write there, or set DATA_DIR.")
    if lost := VOLATILE.get(facts.filesystem):
        says = f"DATA_DIR/spool lies on {facts.filesystem}: {lost} loses outcomes that the database was not told yet"
        yield ABOUT.warning("volatile", f"{says}; their jobs run again.", "Put it on a disk or volume that stays.")
    if facts.free < ROOM:
        yield ABOUT.warning("disk", f"{facts.free // 2**20:,} MB are free in {facts.directory}.", "Make room.")


def _spool(facts: Facts) -> Iterator[Finding]:
    if facts.stale:
        says = f"{facts.stale:,} outcomes wait in the spool for more than {STALE} s."
        yield ABOUT.warning("spool", says, "Start a worker with this DATA_DIR: it tells them to the database.")
    if facts.aside:
        says = f"{facts.aside:,} outcomes were set aside in {facts.directory}/spool: nobody could read or tell them."
        yield ABOUT.warning(
            "aside", says, "Read the workers' logs; SECRET_KEY must be that of the time. Then delete them."
        )


def _web(facts: Facts) -> Iterator[Finding]:
    if facts.debug and facts.host not in LOOPBACK:
        says = f"DEBUG is on and the web listens on {facts.host}: others see settings and the sandbox."
        yield ABOUT.warning("debug", says, "Set DEBUG=0 and SECRET_KEY.")
    if not facts.debug and "*" in facts.allowed:
        yield ABOUT.warning("hosts", "ALLOWED_HOSTS takes any name.", "Name the web's own.")


def filesystem(path: Path, mounts: str) -> str:
    """The type of file system that `path` lies on, of the lines of /proc/mounts; "" where there are none."""
    places = [line.split()[1:3] for line in mounts.splitlines() if len(line.split()) > 2]
    above = [(where, kind) for where, kind in places if path.is_relative_to(where)]
    return max(above, key=lambda place: len(place[0]))[1] if above else ""


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text()
    except OSError:
        return ""


def _refused(directory: Path) -> str:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)


def _existing(directory: Path) -> Path:
    return next(place for place in (directory, *directory.parents) if place.exists())


def _stale() -> int:
    return sum(_age(entry) > STALE for entry in spool.directory().glob(f"*{spool.SUFFIX}"))


def _age(entry: Path) -> float:
    try:
        return time.time() - entry.stat().st_mtime
    except FileNotFoundError:  # told just now
        return 0
