"""Fetch, transform, save: three steps that pass the key of a stored file, never the data itself."""

import json
from datetime import datetime
from typing import Any

from django.core.files.storage import default_storage
from django.utils import timezone

from jobs.errors import TaskFailure
from jobs.work import keys, outbound, rows
from jobs.work.models import Record

#: Seconds for the whole answer.
TIMEOUT = 30
FOLDER = "pipeline"
SOURCE_LENGTH = 500


def fetch(url: str, name: str) -> str:
    """Stores the rows behind the URL; returns the key. The same name writes the same file again."""
    if len(url) > SOURCE_LENGTH:
        raise TaskFailure(f"url is longer than {SOURCE_LENGTH} characters.")
    body = outbound.get(url, timeout=TIMEOUT).body
    return _store(f"{FOLDER}/{name}-fetched.json", {"source": url, "rows": rows.parsed(url, body)})


def transform(key: str) -> str:
    """Cleans the fetched rows (one an id, trimmed texts, no empty fields) into a file beside; returns its key."""
    fetched = _load(key, list)
    kept = {key: _clean(row) for key, row in rows.by_id(fetched["source"], fetched["rows"]).items()}
    result = {"source": fetched["source"], "fetched": len(fetched["rows"]), "rows": kept}
    return _store(keys.beside(keys.key_of(key), "-transformed", "json"), result)


def save(key: str) -> dict[str, Any]:
    """Adds or renews a record for each transformed row; returns the counts."""
    found = _load(key, dict)
    Record.objects.bulk_create(
        [_record(found["source"], row_id, row) for row_id, row in found["rows"].items()],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["source", "external_id"],
        update_fields=["row", "saved_at"],
    )
    saved = len(found["rows"])
    return {"fetched": found["fetched"], "dropped": found["fetched"] - saved, "saved": saved}


def prune(before: datetime) -> dict[str, int]:
    """Deletes the files that were stored before this time."""
    if not default_storage.exists(FOLDER):
        return {"pipeline_files": 0}
    stored = [f"{FOLDER}/{name}" for name in default_storage.listdir(FOLDER)[1]]
    old = [key for key in stored if default_storage.get_modified_time(key) < before]
    for key in old:
        default_storage.delete(key)
    return {"pipeline_files": len(old)}


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    trimmed = {str(name).strip().lower(): _trimmed(value) for name, value in row.items()}
    return {name: value for name, value in trimmed.items() if value not in (None, "")}


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _record(source: str, row_id: str, row: dict[str, Any]) -> Record:
    return Record(source=source, external_id=row_id, row=json.dumps(row), saved_at=timezone.now())


def _store(key: str, value: dict[str, Any]) -> str:
    return keys.write(key, json.dumps(value).encode())


def _load(key: str, rows_are: type) -> dict[str, Any]:
    """The stored step; TaskFailure if the key names something else."""
    try:
        value = json.loads(keys.read(keys.key_of(key), outbound.MAX_BYTES * 4))
        if isinstance(value["rows"], rows_are) and isinstance(value["source"], str):
            return dict(value)
    except (ValueError, KeyError, TypeError):
        pass
    raise TaskFailure(f"{key} is not a file of {'fetch_data' if rows_are is list else 'transform_data'}.")
