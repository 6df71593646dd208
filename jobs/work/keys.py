"""Storage keys: the names of files in Django's default storage, as tasks get and pass them."""

import hashlib
import re
from pathlib import PurePosixPath

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from jobs.errors import TaskFailure


class PathRefused(TaskFailure):
    """A path that names no file of the storage."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(path, why)

    def __str__(self) -> str:
        return f"{self.path!r} {self.why}"


def key_of(path: str) -> str:
    """`/uploads/photo.jpg` as the key `uploads/photo.jpg`; PathRefused if it leads out of the storage."""
    key = path.removeprefix("/")
    parts = key.split("/")
    if not key or "\0" in key or "\\" in key or any(part in ("", ".", "..") for part in parts):
        raise PathRefused(path, "is not the path of a file in the storage, such as uploads/photo.jpg.")
    return key


def beside(key: str, suffix: str, extension: str) -> str:
    """The key of a sibling: `uploads/photo.jpg` with `_processed`, `png` is `uploads/photo_processed.png`."""
    path = PurePosixPath(key)
    return str(path.with_name(f"{path.stem}{suffix}.{extension}"))


def name_of(job_id: str) -> str:
    """A file name of its own for a job: the id where it can be one, else its hash (any text can be a job's id)."""
    return job_id if re.fullmatch(r"[A-Za-z0-9-]{1,64}", job_id) else hashlib.sha256(job_id.encode()).hexdigest()


def read(key: str, limit: int) -> bytes:
    """The file's bytes; PathRefused if there is none or it is larger than `limit` bytes."""
    try:
        with default_storage.open(key) as file:
            content = bytes(file.read(limit + 1))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, SuspiciousFileOperation) as error:
        raise PathRefused(key, "is not a file in the storage. Upload it first.") from error
    if len(content) > limit:
        raise PathRefused(key, f"is larger than {limit:,} bytes.")
    return content


def write(key: str, content: bytes) -> str:
    """Stores the bytes under exactly this key, in place of what was there."""
    if default_storage.exists(key):
        default_storage.delete(key)
    return str(default_storage.save(key, ContentFile(content)))
