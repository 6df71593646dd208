"""The tasks this process knows. Only a worker loads them at its start; every other process does at first need."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import current_app


@cache
def registered_tasks() -> Mapping[str, Any]:
    """Every task by name: built-in, discovered, and of JOBS_TASK_MODULES."""
    current_app.loader.import_default_modules()
    tasks: Mapping[str, Any] = current_app.tasks
    return tasks
