"""The spool: what can't be told to the database now lies fsynced in DATA_DIR, and is told once when it answers again.

An entry is a call (a `functools.partial` of our own functions), pickled and signed with SECRET_KEY: one that is torn,
or that somebody else wrote, is never run. Entries of a process that died are told by the next worker of the same
DATA_DIR. Each is fenced by its attempt's token, so that telling it twice, or too late, changes nothing.
"""

import fcntl
import logging
import os
import pickle
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from celery.utils.serialization import get_pickleable_exception
from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from jobs.conf import conf

logger = logging.getLogger(__name__)

#: What an entry's file is called; one that can't be told is set aside under the second suffix, for a person.
SUFFIX, ASIDE = ".entry", ".unreadable"


class Entry:
    """A call on disk, locked: nobody else tells it while this process lives and has not let go."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.file = path, file

    def told(self) -> None:
        """The database has it."""
        self.path.unlink(missing_ok=True)
        self.file.close()

    def leave(self) -> None:
        """Somebody else tells it. Unlocked by name: a child that was forked meanwhile has the file open too."""
        fcntl.flock(self.file, fcntl.LOCK_UN)
        self.file.close()

    def set_aside(self) -> None:
        """It can't be told; a person looks at it."""
        with suppress(OSError):
            self.path.rename(self.path.with_suffix(ASIDE))
        self.file.close()


def directory() -> Path:
    return Path(settings.DATA_DIR) / "spool"


def holds(name: str) -> bool:
    """Whether the outcome of the attempt with this token waits here."""
    return os.path.exists(directory() / f"{name}{SUFFIX}")


def write(act: Callable[[], Any], name: str) -> Entry | None:
    """The call on disk, locked; None when the spool is full or the disk refuses."""
    try:
        directory().mkdir(parents=True, exist_ok=True, mode=0o700)
        if _size() >= conf().spool_bytes:
            logger.error("The spool %s is full (%d bytes)", directory(), conf().spool_bytes)
            return None
        return _written(directory() / f"{name}{SUFFIX}", _signed(act))
    except Exception as error:  # noqa: BLE001  (a disk's, or whatever user code says when it is pickled)
        logger.error("The spool can't keep %s: %s", name, error)
        return None


def keep(act: Callable[[], Any]) -> bool:
    """Leave the call here for whoever tells it next; whether that was possible."""
    entry = write(act, uuid.uuid4().hex)
    if entry:
        entry.leave()
    return entry is not None


def tell_all(down: tuple[type[Exception], ...]) -> int:
    """Make the calls that lie here, oldest first; how many. Raises in the end what one said of a database `down`: it
    may mean that one alone.

    Ends after half a heartbeat, which waits for it: a worker that has much to tell must not fall silent over it.
    """
    told, until = 0, time.monotonic() + conf().heartbeat / 2
    _remove_drafts()
    first: Exception | None = None
    for path in _entries():
        entry = _locked(path) if time.monotonic() < until else None
        try:
            told += entry is not None and _tell(entry, down)
        except down as error:
            first = first or error
    if first:
        raise first
    return told


def waiting() -> int:
    """How many entries lie here."""
    return sum(1 for _ in _entries())


def unreadable() -> list[Path]:
    """Entries that could not be told, for `doctor`."""
    return sorted(directory().glob(f"*{ASIDE}"))


def _tell(entry: Entry, down: tuple[type[Exception], ...]) -> bool:
    act = _read(entry)
    if act is None:
        entry.set_aside()
        return False
    try:
        act()
    except down:
        entry.leave()
        raise
    except Exception:
        logger.exception("What the spool kept can't be told; it lies in %s", entry.path.with_suffix(ASIDE))
        entry.set_aside()
        return False
    entry.told()
    return True


def _entries() -> Iterator[Path]:
    found = []
    for path in directory().glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path))
    yield from (path for _, path in sorted(found))


def _remove_drafts() -> None:
    """Of processes that were killed while they wrote."""
    for path in directory().glob("*.draft"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > conf().leftover_after:
                path.unlink()


def _locked(path: Path) -> Entry | None:
    """The entry, if its writer is gone and nobody else tells it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.error("The spool's %s can't be opened: %s", path, error)
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    if not path.exists():  # told between the two calls
        file.close()
        return None
    return Entry(path, file)


def _written(path: Path, content: bytes) -> Entry:
    """Whole on disk, under its name, or not there at all."""
    draft = path.with_suffix(".draft")
    file = draft.open("wb")
    try:
        draft.chmod(0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        draft.rename(path)
        _sync(path.parent)
    except BaseException:
        file.close()
        draft.unlink(missing_ok=True)
        raise
    return Entry(path, file)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size() -> int:
    return sum(path.stat().st_size for path in directory().glob(f"*{SUFFIX}") if path.exists())


def _signed(act: Callable[[], Any]) -> bytes:
    buffer = BytesIO()
    _Pickler(buffer).dump(act)
    return _signature(buffer.getvalue()) + b"\n" + buffer.getvalue()


def _read(entry: Entry) -> Callable[[], Any] | None:
    signature, _, content = entry.file.read().partition(b"\n")
    if not constant_time_compare(signature, _signature(content)):
        logger.error("The spool's %s is torn, or not ours; it is set aside", entry.path)
        return None
    try:
        act: Callable[[], Any] = pickle.loads(content)  # noqa: S301  (signed by us)
    except Exception:
        logger.exception("The spool's %s can't be read by this version; it is set aside", entry.path)
        return None
    return act


def _signature(content: bytes) -> bytes:
    return salted_hmac("jobs.spool", content, algorithm="sha256").hexdigest().encode()


class _Pickler(pickle.Pickler):
    """Exceptions that can't be pickled go as Celery passes them on between its own processes."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, BaseException) and (other := get_pickleable_exception(obj)) is not obj:
            return _itself, (other,)
        return NotImplemented


def _itself(exc: BaseException) -> BaseException:
    return exc
