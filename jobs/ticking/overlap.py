"""What a tick does while the job of an earlier one has not ended."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Case, CharField, F, Value, When

from jobs.ledger import control
from jobs.models import Job
from jobs.policies import Outcome, Overlap, Why
from jobs.ticking.turns import Turn


@dataclass
class Verdict:
    """What becomes of a tick; `blocker` is the job that keeps it from running, if one does."""

    outcome: Outcome
    why: Why = Why.NONE
    blocker: str | None = None


@dataclass
class Road:
    """The live jobs of a schedule, and whether a tick waits for their end."""

    live: list[str] = field(default_factory=list)
    waits: bool = False


def roads(names: Collection[str], using: str) -> dict[str, list[str]]:
    """The ids of live jobs by the name of their schedule, the oldest first."""
    found: dict[str, list[str]] = {}
    if names:
        jobs = Job.objects.using(using).live().filter(schedule__in=names).order_by("created_at", "id")
        for name, job_id in jobs.values_list("schedule", "id"):
            found.setdefault(str(name), []).append(job_id)
    return found


def rename(turns: Sequence[Turn], using: str) -> None:
    """Live jobs of renamed schedules follow the name; two that change names swap them."""
    names = {turn.kept.name: turn.row.name for turn in turns if turn.kept and turn.kept.name != turn.row.name}
    if names:
        whens = [When(schedule=old, then=Value(new)) for old, new in names.items()]
        jobs = Job.objects.using(using).live().filter(schedule__in=names)
        jobs.update(schedule=Case(*whens, default=F("schedule"), output_field=CharField()))


def judge(overlap: str, road: Road, is_last: bool) -> Verdict:
    """Of a tick that may run by its own policy; `is_last` of those that are looked at together."""
    if overlap == Overlap.CANCEL and not is_last:
        return Verdict(Outcome.SKIPPED, Why.SUPERSEDED)
    if overlap == Overlap.ALLOW or not (road.live or road.waits):
        return Verdict(Outcome.RUN)
    blocker = road.live[0] if road.live else None
    if overlap == Overlap.SKIP or (overlap == Overlap.QUEUE and road.waits):
        return Verdict(Outcome.SKIPPED, Why.OVERLAP, blocker)
    return Verdict(Outcome.WAITS, Why.NONE, blocker)


def cancel(ids: Iterable[str], using: str) -> list[str]:
    """Cancel these jobs; those that run on until their workers have stopped them."""
    stopping = set(control.revoke(list(ids), terminate=True).terminating)
    return [job_id for job_id in ids if job_id in stopping]
