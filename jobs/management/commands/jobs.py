"""`manage.py jobs list|show|cancel|requeue`."""

from typing import Any

from django.core.management.base import CommandParser

from jobs import operations
from jobs.api.answers import job_detail, job_row
from jobs.errors import UnknownJob, WrongState
from jobs.management.command import (
    MOST,
    StationCommand,
    add_arguments_of_a_job,
    add_json,
    add_reason,
    number,
    person,
    verbs,
)
from jobs.models import Job
from jobs.states import State

COLUMNS = ("task_id", "task", "state", "queue", "attempt", "created_at", "last_error")


class Command(StationCommand):
    help = "List, show, cancel and requeue jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        verb = verbs(parser)
        listing = verb.add_parser("list", help="newest first")
        listing.add_argument("--state", choices=State.values)
        listing.add_argument("--task")
        listing.add_argument("--queue")
        listing.add_argument("--limit", type=number(MOST), default=50)
        showing = verb.add_parser("show", help="one job, with arguments and end")
        showing.add_argument("id")
        for one in (listing, showing):
            add_json(one)
        cancel = verb.add_parser("cancel", help="stop jobs; a running one only with --terminate")
        cancel.add_argument("--terminate", action="store_true")
        requeue = verb.add_parser("requeue", help="run dead, cancelled or expired jobs again")
        add_arguments_of_a_job(requeue)
        for one in (cancel, requeue):
            one.add_argument("ids", nargs="+", metavar="ID")
            add_reason(one)

    def handle(self, **options: Any) -> None:
        self.run_verb(options)

    def list_(self, *, state: str, task: str, queue: str, limit: int, as_json: bool) -> None:
        asked = {k: v for k, v in {"state": state, "task": task, "queue": queue}.items() if v}
        jobs = Job.objects.light().filter(**asked).order_by("-created_at", "-id")[:limit]
        self.show([job_row(job) for job in jobs], COLUMNS, as_json=as_json)

    def show_(self, *, id: str, as_json: bool) -> None:
        detail = job_detail(_job(id), unredacted=False)
        if as_json:
            self.tell_json(detail)
        else:
            self.show([{"field": k, "value": v} for k, v in detail.items()], ("field", "value"), as_json=False)

    def cancel_(self, *, ids: list[str], terminate: bool, reason: str) -> None:
        done = operations.revoke(ids, by=person(), reason=reason, terminate=terminate)
        for id_ in done.cancelled:
            self.tell(f"{id_} cancelled")
        for id_ in done.terminating:
            self.tell(f"{id_} is being terminated")
        for id_ in done.requested:
            self.tell(f"{id_} runs on; it is marked as cancel requested (--terminate stops it)")
        self.refuse([str(_why_not(id_, "cancelled")) for id_ in (*done.ended, *done.unknown)])

    def requeue_(self, *, ids: list[str], job_args: Any, job_kwargs: Any, reason: str) -> None:
        if job_args is not None or job_kwargs is not None:
            for id_ in ids:
                new = operations.requeue_changed(id_, args=job_args, kwargs=job_kwargs, by=person(), reason=reason)
                self.tell(f"{id_} requeued as {new}")
            return
        done = operations.requeue(ids, by=person(), reason=reason)
        for id_ in done:
            self.tell(f"{id_} requeued")
        self.refuse([str(_why_not(id_, "requeued")) for id_ in ids if id_ not in done])


def _job(job_id: str) -> Job:
    job: Job | None = Job.objects.filter(id=job_id).first()
    if job is None:
        raise UnknownJob(job_id)
    return job


def _why_not(job_id: str, wanted: str) -> UnknownJob | WrongState:
    state = Job.objects.filter(id=job_id).values_list("state", flat=True).first()
    return UnknownJob(job_id) if state is None else WrongState(job_id, state, wanted)
