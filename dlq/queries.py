"""Filters over dead letters; no writes."""

from typing import Any

from django.db import models


class DeadLetterQuerySet(models.QuerySet[Any]):
    """Dead letters by what a person still has to do."""

    def open(self) -> "DeadLetterQuerySet":
        return self.filter(status="open")

    def light(self) -> "DeadLetterQuerySet":
        """Without the columns that can be large: for lists."""
        return self.defer("body", "traceback", "raw")
