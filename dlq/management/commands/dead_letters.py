"""`manage.py dead_letters list|requeue|discard`."""

from typing import Any

from django.core.management.base import CommandParser

from dlq import lifecycle
from dlq.answers import letter_row
from dlq.models import DeadLetter
from jobs.errors import JobError
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

COLUMNS = ("id", "task_id", "task", "queue", "reason", "error", "message", "status", "created_at")


class Command(StationCommand):
    help = "List, requeue and discard dead letters."

    def add_arguments(self, parser: CommandParser) -> None:
        verb = verbs(parser)
        listing = verb.add_parser("list", help="newest first")
        listing.add_argument("--status", choices=[*DeadLetter.Status.values, "all"], default="open")
        listing.add_argument("--task")
        listing.add_argument("--limit", type=number(MOST), default=50)
        add_json(listing)
        requeue = verb.add_parser("requeue", help="give their jobs one more attempt")
        add_arguments_of_a_job(requeue)
        discard = verb.add_parser("discard", help="close them, keeping the record")
        for one in (requeue, discard):
            one.add_argument("ids", nargs="+", type=number(MOST), metavar="ID")
            add_reason(one)

    def handle(self, **options: Any) -> None:
        self.run_verb(options)

    def list_(self, *, status: str, task: str, limit: int, as_json: bool) -> None:
        asked = {k: v for k, v in {"status": status, "task": task}.items() if v not in (None, "all")}
        letters = DeadLetter.objects.defer("traceback", "raw").filter(**asked)[:limit]
        self.show([letter_row(letter, unredacted=False) for letter in letters], COLUMNS, as_json=as_json)

    def requeue_(self, *, ids: list[int], job_args: Any, job_kwargs: Any, reason: str) -> None:
        refused = []
        for id_ in ids:
            try:
                done = lifecycle.requeue([id_], by=person(), reason=reason, args=job_args, kwargs=job_kwargs)
                self.tell(f"{id_} requeued as job {done[0].job_id}")
            except JobError as error:
                refused.append(str(error))
        self.refuse(refused)

    def discard_(self, *, ids: list[int], reason: str) -> None:
        refused = []
        for id_ in ids:
            try:
                lifecycle.discard([id_], by=person(), reason=reason)
                self.tell(f"{id_} discarded")
            except JobError as error:
                refused.append(str(error))
        self.refuse(refused)
