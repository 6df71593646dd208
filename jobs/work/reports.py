"""The report over processed pictures: HTML with a chart, stored."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from jobs.work import charts, keys

FOLDER = "reports"
#: More bars than this can't be told apart; the table holds all.
CHARTED = 24


def over_pictures(results: Sequence[object], name: str) -> dict[str, str]:
    """Stores a report over results of process_image; returns its key. The same name writes the same file again."""
    rows = [_row(result) for result in results if isinstance(result, dict)]
    html = render_to_string(
        "work/pictures.html",
        {
            "rows": rows,
            "chart": charts.grouped(
                [(row["label"], {k: row[k] for k in ("before", "after")}) for row in rows[:CHARTED]]
            ),
            "made_at": timezone.now(),
            "before": sum(row["before"] for row in rows),
            "after": sum(row["after"] for row in rows),
        },
    )
    return {"report": keys.write(f"{FOLDER}/{name}.html", html.encode())}


def _row(result: dict[str, Any]) -> dict[str, Any]:
    sizes = result.get("sizes") or {}
    output = str(result.get("output", ""))
    return {
        "input": str(result.get("input", "")),
        "output": output,
        "label": PurePosixPath(output).name,
        "operations": [_said(operation) for operation in result.get("operations") or []],
        "before": _bytes(sizes, "input"),
        "after": _bytes(sizes, "output"),
    }


def _bytes(sizes: dict[str, Any], side: str) -> int:
    found = (sizes.get(side) or {}).get("bytes", 0)
    return found if isinstance(found, int) else 0


def _said(operation: object) -> str:
    return str(operation.get("op", "")) if isinstance(operation, dict) else str(operation)
