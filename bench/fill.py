"""Queue the backlog of one contender: `python -m bench.fill config.celery 2000 [countdown in seconds]`."""

import sys
from importlib import import_module


def fill(module: str, jobs: int, countdown: float | None = None) -> None:
    """Post so many no-op jobs with the contender's own app, the fastest way that Celery's users have."""
    app = import_module(module).app
    app.loader.import_default_modules()
    noop = app.tasks["bench.noop"]
    with app.producer_or_acquire() as producer:
        for _ in range(jobs):
            noop.apply_async(producer=producer, countdown=countdown)


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:]))
