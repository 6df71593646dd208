"""Jobs built before their tick: when many schedules tick at one moment, only the transaction is left for it.

What was built is used if the row still says the same at the tick; if not, the job is built anew from what it says.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import signals
from django_celery_beat.models import PeriodicTask

from jobs.ledger.execution import DurableTask
from jobs.ledger.publish import collecting
from jobs.models import Job
from jobs.registry import registered_tasks
from jobs.schedules.plan import plan
from jobs.schedules.reading import policy_of, schedule_of
from jobs.schedules.rows import readable
from jobs.schedules.sending import send

#: So many in a look-ahead can as well be built at their moment.
FEW = 10
#: Built in one step: a tick that becomes due meanwhile waits no longer than for these.
STEP = 10
#: What a job is made of.
CONTENT = "name task args kwargs queue exchange routing_key headers priority expires expire_seconds one_off".split()


@dataclass(frozen=True)
class Built:
    """The unsaved job of a tick, and the row that it was made of."""

    at: datetime
    content: tuple[Any, ...]
    job: Job

    def fits(self, row: PeriodicTask, at: datetime, run_at: datetime | None) -> bool:
        return self.at == at and self.job.run_at == run_at and self.content == content_of(row)


def content_of(row: PeriodicTask) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in CONTENT)


class Ahead:
    """What is built, by schedule; each is tried once for each of its ticks."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.built: dict[int, Built] = {}
        self._tried: dict[int, datetime] = {}

    def step(self, wakes: dict[int, datetime]) -> bool:
        """Build some jobs of schedules that wake soon; whether there was anything to do."""
        self.forget(set(self._tried) - set(wakes))
        if len(wakes) <= FEW or _somebody_listens():
            return False
        missing = [schedule for schedule, at in wakes.items() if self._tried.get(schedule) != at][:STEP]
        if missing:
            self._tried.update({schedule: wakes[schedule] for schedule in missing})
            self._build(missing)
        return bool(missing)

    def forget(self, ids: Iterable[int]) -> None:
        for schedule in ids:
            self.built.pop(schedule, None)
            self._tried.pop(schedule, None)

    def _build(self, ids: Collection[int]) -> None:
        """Whatever is wrong with a row comes to light at its tick."""
        try:
            rows = list(readable(PeriodicTask.objects.using(self.using).filter(pk__in=ids, enabled=True)))
        except ValueError:
            return
        for row in rows:
            try:
                if (found := _built(row)) is not None:
                    self.built[row.pk] = found
            except Exception:  # noqa: BLE001, S112
                continue


def _built(row: PeriodicTask) -> Built | None:
    standing = getattr(row, "standing", None)
    task: Any = registered_tasks().get(row.task)
    if standing is None or standing.broken or type(task).apply_async is not DurableTask.apply_async:
        return None
    ticks = plan(schedule_of(row, standing.anchor), policy_of(row), after=standing.position, until=None)
    tick = next(ticks)
    with collecting() as batch:
        send(row, tick.at, tick.at, tick.run_at)
        [job], batch.jobs = batch.jobs, []
        batch.tags.clear()
    return Built(tick.at, content_of(row), job)


def _somebody_listens() -> bool:
    """Who listens to publishing is told of jobs that are posted, not of what may be built in vain."""
    return bool(signals.before_task_publish.receivers or signals.after_task_publish.receivers)
