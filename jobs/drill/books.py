"""What the tables say of a run's jobs, read through Django; waits while the database is down."""

from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TypeVar

from django.db import router
from django_celery_results.models import TaskResult

from jobs import operations, retention
from jobs.drill.verdict import Account
from jobs.ledger.patience import patiently
from jobs.lifecycle.moment import now
from jobs.models import Attempt, Job, Worker
from jobs.queries import JobQuerySet
from jobs.queues import DRILL
from jobs.states import ENDED, State

T = TypeVar("T")
#: A result that is so near its expiry may have been pruned while we looked.
NEARLY = timedelta(seconds=60)


class Books:
    """The rows of one run: its jobs' ids begin with its name."""

    def __init__(self, run: str) -> None:
        self.using, self.mine = router.db_for_write(Job), f"{run}."

    def running(self) -> set[str]:
        """The jobs that a worker holds now."""
        return self._read(lambda: set(self._jobs().filter(state=State.RUNNING).values_list("id", flat=True)))

    def ended(self, ids: Collection[str]) -> int:
        """How many of these have ended."""
        return self._read(lambda: Job.objects.using(self.using).filter(id__in=list(ids), state__in=ENDED).count())

    def live(self) -> int:
        """How many have not ended yet."""
        return self._read(lambda: self._jobs().live().count())

    def accounts(self) -> list[Account]:
        """Every job of the run, with the ends of its attempts and its result."""
        return self._read(self._accounts)

    def workers(self, pids: Collection[int]) -> int:
        """How many workers of these pids have said that they are there."""
        rows = Worker.objects.using(self.using).filter(pid__in=list(pids), stopped_at=None)
        return self._read(lambda: rows.values("pid").distinct().count())

    def abandon(self) -> int:
        """Cancel what has not ended, for nobody is left to run it; how many."""
        ids = self._read(lambda: list(self._jobs().live().values_list("id", flat=True)))
        self._read(lambda: operations.revoke(ids, by="drill", reason="the drill was stopped"))
        return len(ids)

    def _accounts(self) -> list[Account]:
        ends: dict[str, list[int]] = defaultdict(list)
        attempts = Attempt.objects.using(self.using).filter(job__id__startswith=self.mine)
        for id, number in attempts.order_by("number", "id").values_list("job_id", "number"):
            ends[id].append(number)
        results = TaskResult.objects.using(self.using).filter(task_id__startswith=self.mine)
        status = dict(results.values_list("task_id", "status"))
        kept_from = now(self.using) - retention.result_expires() + NEARLY
        rows = self._jobs().values_list("id", "state", "attempt", "crashes", "finished_at")
        return [
            Account(id, state, attempt, crashes, tuple(ends[id]), status.get(id), bool(at and at < kept_from))
            for id, state, attempt, crashes, at in rows
        ]

    def _jobs(self) -> JobQuerySet:
        jobs: JobQuerySet = Job.objects.using(self.using).filter(queue=DRILL.name, id__startswith=self.mine)
        return jobs

    def _read(self, query: Callable[[], T]) -> T:
        return patiently(query, self.using)
