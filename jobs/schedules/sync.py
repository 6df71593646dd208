"""Rows brought to what is declared: the missing are added, drift is told, and written over only by force."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django_celery_beat.models import PeriodicTask

from jobs import activity
from jobs.errors import JobError
from jobs.models import SchedulePolicy
from jobs.schedules import builtin, in_code
from jobs.schedules.declared import COLUMNS, Declared, Problem, added, kept
from jobs.schedules.drift import Drift, drift
from jobs.schedules.rows import TIMINGS, readable
from jobs.schedules.validation import Fault, asked_once, faults, policy_faults

#: `faults` says more of them, or nobody declares them.
NEVER_ASKED = ("task", "priority", "args", "kwargs", "headers", "date_changed")
logger = logging.getLogger(__name__)

#: A fault names a column; a declaration calls it so.
WORDS = {column: word for word, column in COLUMNS.items()} | dict(
    zip(TIMINGS, ("every", "cron", "at", "sun"), strict=True)
)


class SyncRefused(JobError):
    """Declarations of which at least one can't be kept, so that nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(f"{' '.join(str(problem) for problem in problems)} Nothing was written.")


@dataclass
class Synced:
    """What a sync did, or with `dry_run` would do, by names of schedules."""

    added: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    #: Of those that are left as they are, and before they were written over.
    drift: list[Drift] = field(default_factory=list)


def sync(
    declared: Sequence[Declared],
    by: str,
    *,
    unread: Sequence[Problem] = (),
    force: bool = False,
    dry_run: bool = False,
) -> Synced:
    """Adds the missing, tells the drift of the others, writes those over only by `force`; all or none, deletes nothing.

    Raises SyncRefused with every problem of every declaration, after those of entries that could not be read.
    """
    with transaction.atomic(using=router.db_for_write(PeriodicTask)):
        rows = _rows(declared)
        if problems := [*unread, *_problems(declared, rows if force else {})]:
            raise SyncRefused(problems)
        done = Synced()
        for one in declared:
            _settle(one, rows.get(one.name), by, done, force=force, dry_run=dry_run)
    return done


def add_missing(app: Any) -> list[str]:
    """Adds what comes with the project and what `app.conf.beat_schedule` declares; names of the rows written.

    An entry that can't be run is left out, with a line in the log; rows that are there stay as they are.
    """
    names = builtin.install()
    declared, problems = in_code.declared(app)
    problems += _problems(declared, {})
    for problem in problems:
        logger.error("The schedule %s is not added", problem)
    refused = {problem.name for problem in problems}
    return names + [one.name for one in declared if one.name not in refused and added(one)]


def _rows(declared: Sequence[Declared]) -> dict[str, PeriodicTask]:
    found = PeriodicTask.objects.filter(name__in=[one.name for one in declared]).order_by("pk")
    return {row.name: row for row in readable(found).select_for_update(of=("self",))}


def _problems(declared: Sequence[Declared], rows: dict[str, PeriodicTask]) -> Iterator[Problem]:
    """Each declaration as a new row, or written over the row that is there."""
    live = asked_once()
    for one in declared:
        row = _copy(rows[one.name]) if one.name in rows else one.row()
        if one.name in rows:
            one.write(row, one.named)
        found = [*_unfit(row, one.timing_field)] or faults(row, live)
        found += policy_faults(SchedulePolicy(**one.policy))
        yield from (Problem(one.name, WORDS.get(fault.field, fault.field), fault.message) for fault in found)


def _unfit(row: PeriodicTask, timing: str) -> Iterator[Fault]:
    """Values that their columns don't take, whatever they mean."""
    for column, said in _refused(row, [*TIMINGS, *NEVER_ASKED]).items():
        yield Fault(column, said)
    for said in _refused(getattr(row, timing), []).values():
        yield Fault(timing, said)
    for column in row._meta.concrete_fields:
        if "\x00" in str(getattr(row, column.attname)):
            yield Fault(column.name, "It has a NUL character, which no database keeps. Leave it out.")


def _refused(row: Any, exclude: list[str]) -> dict[str, str]:
    try:
        row.clean_fields(exclude=exclude)
    except ValidationError as error:
        return {column: f"{' '.join(said).rstrip('.')}." for column, said in error.message_dict.items()}
    return {}


def _settle(one: Declared, row: PeriodicTask | None, by: str, done: Synced, *, force: bool, dry_run: bool) -> None:
    if row is None:
        done.added.append(one.name)
        if not dry_run:
            added(one, by)
        return
    differences = drift(one, row)
    done.drift += differences
    if not differences or not force:
        done.unchanged.append(one.name)
        return
    done.overwritten.append(one.name)
    if not dry_run:
        _write_over(one, row, differences, by)


def _write_over(one: Declared, row: PeriodicTask, differences: Sequence[Drift], by: str) -> None:
    one.write(row, one.named)
    setattr(row, one.timing_field, kept(one.timing))
    written = [COLUMNS[word] for word in one.named]
    # Named columns only: a save of a whole disabled row would forget its last run.
    row.save(update_fields=[*written, *TIMINGS, "date_changed"])
    if one.policy:
        SchedulePolicy.objects.update_or_create(schedule=row, defaults=dict(one.policy))
    changed = {each.field: [each.found, each.declared] for each in differences}
    activity.record(by, "edit", "schedule", one.name, source=one.source, changed=changed)


def _copy(row: PeriodicTask) -> PeriodicTask:
    return PeriodicTask(**{f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields})
