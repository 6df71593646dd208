"""The tasks this process knows. Only a worker loads them at its start; every other process does at first need."""

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import current_app


def registered_tasks() -> Mapping[str, Any]:
    """Every task by name: built-in, discovered, and of JOBS_TASK_MODULES."""
    if not _loading.now:
        _load()
    tasks: Mapping[str, Any] = current_app.tasks
    return tasks


class _Loading(threading.local):
    """Celery runs Django's checks whenever it loads the tasks, and ours ask for the tasks."""

    now = False


_loading = _Loading()


@cache
def _load() -> None:
    _loading.now = True
    try:
        current_app.loader.import_default_modules()
    finally:
        _loading.now = False
