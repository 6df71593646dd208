"""Beat and its clock: whether one leads, and whether what it should move moves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import router

from jobs.clock.leader import NAME
from jobs.doctor.finding import About, Finding
from jobs.lifecycle.moment import now
from jobs.models import Job, Lease
from jobs.spans import span
from jobs.states import State

ABOUT = About("beat")
#: Seconds after which what is due should have been moved, whoever takes the lead meanwhile.
LATE = 60


@dataclass(frozen=True)
class Facts:
    now: datetime
    holder: str = ""
    until: datetime | None = None
    #: Jobs whose time came more than LATE ago, and running ones whose lease ended so long ago.
    overdue: int = 0
    orphaned: int = 0


def examine() -> Iterator[Finding]:
    yield from findings(gather())


def gather() -> Facts:
    """Raises DatabaseError."""
    at = now(router.db_for_read(Lease))
    late = at - timedelta(seconds=LATE)
    lease = Lease.objects.filter(name=NAME).first()
    return Facts(
        now=at,
        holder=lease.holder if lease else "",
        until=lease.until if lease else None,
        overdue=Job.objects.filter(state__in=[State.SCHEDULED, State.RETRYING], run_at__lt=late).count(),
        orphaned=Job.objects.filter(state=State.RUNNING, lease_until__lt=late).count(),
    )


def findings(facts: Facts) -> Iterator[Finding]:
    leads = facts.until is not None and facts.until > facts.now
    found = [*([] if leads else [_leaderless(facts)]), *_late(facts)]
    yield from found or [ABOUT.fine(f"{facts.holder.rpartition(':')[0]} leads; nothing due is late.")]


def _leaderless(facts: Facts) -> Finding:
    ago = f" for {span(facts.now - facts.until)}" if facts.until else ""
    says = f"No beat leads{ago}: no schedule ticks, nothing is retried, and no orphan rescued."
    return ABOUT.error("none", says, "Start one, better two: celery -A config beat")


def _late(facts: Facts) -> Iterator[Finding]:
    advice = "Read the log of the beat that leads."
    if facts.overdue:
        says = f"{facts.overdue:,} scheduled or retrying jobs are more than {LATE} s late."
        yield ABOUT.error("overdue", says, advice)
    if facts.orphaned:
        says = f"{facts.orphaned:,} running jobs outlived their lease by more than {LATE} s, and were not rescued."
        yield ABOUT.error("orphaned", says, advice)
