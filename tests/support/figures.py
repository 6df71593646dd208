"""What a fault test measured, for the table in docs/reliability.md: `FIGURES=file pytest tests/faults`."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager


def tell(row: str, what: str, value: float) -> None:
    """Add one figure of a row to the file that FIGURES names, if any; a test asserts bounds, this keeps the number."""
    if path := os.environ.get("FIGURES"):
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        with open(path, "a") as file:
            file.write(json.dumps({"row": row, "what": what, "value": round(value, 2), "test": test}) + "\n")


@contextmanager
def timed(row: str, what: str) -> Iterator[None]:
    """The seconds that it took."""
    begun = time.monotonic()
    yield
    tell(row, what, time.monotonic() - begun)
