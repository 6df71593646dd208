"""The schedules: whether each can be run, whether beat keeps them, and whether their edits are told."""

from collections.abc import Callable, Collection, Iterator, Sequence

from django.db import router
from django_celery_beat.models import PeriodicTask

from jobs.clock.leader import NAME
from jobs.conf import conf
from jobs.doctor.finding import About, Finding
from jobs.lifecycle.moment import now
from jobs.models import Lease
from jobs.schedules import triggers
from jobs.schedules.outlook import Outlook, State, outlooks
from jobs.schedules.rows import TIMINGS, schedule_rows
from jobs.schedules.validation import HARMLESS, Fault, asked_once, faults
from jobs.spans import span

ABOUT = About("schedules")
MEND = "Edit it in the console, or disable it."
ARGUMENTS = ("args", "kwargs", "headers")
NAMED = 3

Live = Callable[[], Collection[str]]


def examine() -> Iterator[Finding]:
    """Raises DatabaseError."""
    rows, live = list(schedule_rows().filter(enabled=True)), asked_once()
    found = outlooks(rows)
    said = [finding for row in rows for finding in findings(row, found[row.pk], live)]
    said += [*_late([row.name for row in rows if found[row.pk].state == State.LATE]), *_untold()]
    yield from said or [ABOUT.fine(f"{len(rows)} schedules are enabled, and each can be run.")]


def findings(row: PeriodicTask, outlook: Outlook | None = None, live: Live | None = None) -> Iterator[Finding]:
    """What is wrong with one enabled schedule."""
    found = faults(row, live)
    yield from _faults(row, found)
    outlook = outlook or outlooks([row])[row.pk]
    if outlook.state == State.BROKEN and all(fault.field in HARMLESS for fault in found):
        says = f"{row.name} is marked broken: {outlook.reason.rstrip('.')}."
        yield ABOUT.error("broken", says, "Beat looks at it again by itself; an edit lets it look at once.")
    if outlook.state == State.ENDED and not found:
        yield ABOUT.warning("never", f"{row.name} is enabled and will never tick again.", MEND)


def _faults(row: PeriodicTask, found: Sequence[Fault]) -> Iterator[Finding]:
    said = {field: " ".join(fault.message for fault in found if fault.field == field) for field in _fields(found)}
    if "task" in said:
        says = f"{row.name} names the task {row.task}, which no loaded module registers and no live worker knows."
        yield ABOUT.error("unknown_task", says, f"{MEND} Or add its module to JOBS_TASK_MODULES.")
    if "queue" in said:
        says = f"{row.name} names the queue {row.queue}, which is not declared."
        yield ABOUT.error("unknown_queue", says, f"{MEND} Or set JOBS_QUEUES={row.queue}:4.")
    if refused := [f"{field}: {said[field]}" for field in ARGUMENTS if field in said]:
        yield ABOUT.error("arguments", f"{row.name} has arguments that its task refuses: {' '.join(refused)}", MEND)
    if unread := [said[field] for field in (*TIMINGS, "timing") if field in said]:
        yield ABOUT.error("time", f"{row.name} has a time that can't be read: {' '.join(unread)}", MEND)
    if odd := [f"{field}: {said[field]}" for field in sorted(HARMLESS) if field in said]:
        yield ABOUT.warning("options", f"{row.name} runs, but not quite as it says: {' '.join(odd)}", MEND)


def _fields(found: Sequence[Fault]) -> set[str]:
    return {fault.field for fault in found}


def _late(names: Sequence[str]) -> Iterator[Finding]:
    """Only while a beat leads: without one all are late, and that is told of beat."""
    using = router.db_for_read(Lease)
    if not names or not Lease.objects.filter(name=NAME, until__gt=now(using)).exists():
        return
    which = ", ".join(names[:NAMED]) + (" and others" if len(names) > NAMED else "")
    says = f"{len(names):,} were due more than {span(conf().late_after)} ago, and beat has not come to them: {which}."
    yield ABOUT.error("late", says, "Read the log of the beat that leads.")


def _untold() -> Iterator[Finding]:
    if missing := triggers.missing(router.db_for_write(PeriodicTask)):
        says = (
            f"The database lacks triggers that tell beat of edits ({', '.join(missing)}): "
            f"it sees an edit after {conf().reread_every:g} s only."
        )
        yield ABOUT.warning("triggers", says, "Run manage.py migrate: it makes them, as a new leading beat does.")
