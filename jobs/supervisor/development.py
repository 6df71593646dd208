"""DATA_DIR/development.json: how commands beside a running station find it (config/settings.py reads it)."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def announced(directory: Path, **facts: str | int) -> Iterator[None]:
    """The facts stand in the file for as long as the station runs.

    It is removed at the end: its presence turns DEBUG on, which must not outlive the development station.
    """
    path = directory / "development.json"
    _write(path, facts)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, facts: dict[str, str | int]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(facts))
    os.replace(draft, path)
