"""What becomes of the ticks of one schedule whose time has come: planned, judged, and their jobs built."""

from datetime import datetime

from django.db.models import QuerySet

from jobs.models import ScheduleTick
from jobs.policies import Outcome, Overlap, Why
from jobs.schedules.reading import policy_of, schedule_of
from jobs.schedules.sending import send
from jobs.ticking import overlap
from jobs.ticking.overlap import Road
from jobs.ticking.turns import Turn
from jobs.timing.plan import Outage, Tick, plan


def due(turn: Turn) -> list[Tick]:
    """Its ticks since the position; all are looked at now."""
    row, position = turn.row, turn.standing.position
    if not row.enabled or position >= turn.now or had_its_run(turn) or (row.one_off and turn.standing.waiting_tick):
        return []
    schedule, policy = schedule_of(row, turn.standing.anchor), policy_of(row)
    return list(plan(schedule, policy, after=position, until=turn.now, outages=[Outage(position, turn.now)]))


def had_its_run(turn: Turn) -> bool:
    """Whether the only tick of a one-off has run, and nobody has switched it off yet."""
    return bool(turn.row.one_off and turn.row.total_run_count)


def take_up(turn: Turn, ticks: list[Tick], most: int, road: Road, using: str) -> None:
    """Write down what becomes of these ticks, of the first `most`; those that run enqueue their job. Then all up to
    there is settled."""
    last = next((tick for tick in reversed(ticks) if tick.outcome == Outcome.RUN), None)
    turn.more = len(ticks) > most
    for tick in ticks[:most]:
        if tick.outcome == Outcome.RUN:
            _judge(turn, tick, road, tick is last, using)
        else:
            write(turn, tick, tick.outcome, tick.why)
    if ticks:
        turn.standing.position = ticks[most - 1].at if turn.more else turn.now


def pause(turn: Turn, ticks: list[Tick]) -> None:
    """The schedule has failed too often: what would run is skipped."""
    for tick in ticks:
        runs = tick.outcome == Outcome.RUN
        write(turn, tick, Outcome.SKIPPED, Why.PAUSED if runs else tick.why)
    turn.standing.position = turn.now


def enqueue(turn: Turn, at: datetime, run_at: datetime | None = None) -> str:
    """Build the job of a tick; its id."""
    turn.ran += 1
    turn.over = turn.over or turn.row.one_off
    return send(turn.row, at, turn.now, run_at)


def write(turn: Turn, tick: Tick, outcome: Outcome, why: Why, job_id: str | None = None) -> None:
    turn.ticks.append(
        ScheduleTick(
            schedule_id=turn.row.pk,
            at=tick.at,
            first_at=tick.first,
            count=tick.count,
            decided_at=turn.now,
            outcome=outcome,
            why=why,
            job_id=job_id,
        )
    )


def _judge(turn: Turn, tick: Tick, road: Road, is_last: bool, using: str) -> None:
    policy = turn.policy
    verdict = overlap.judge(policy.overlap, road, is_last)
    if verdict.outcome == Outcome.WAITS and policy.overlap == Overlap.CANCEL:
        road.live = overlap.cancel(road.live, using)
        if not road.live:
            verdict = overlap.Verdict(Outcome.RUN)
        _supersede(turn, road, using)
    if verdict.outcome == Outcome.RUN:
        job_id = enqueue(turn, tick.at, tick.run_at)
        write(turn, tick, Outcome.RUN, Why.NONE, job_id)
        road.live.append(job_id)
        return
    if verdict.outcome == Outcome.WAITS:
        turn.standing.waiting_tick, road.waits = tick.at, True
    write(turn, tick, verdict.outcome, verdict.why, verdict.blocker)


def _supersede(turn: Turn, road: Road, using: str) -> None:
    """The tick that waited gives way to a later one."""
    give_up_waiting(turn, Why.SUPERSEDED, using)
    road.waits = False


def give_up_waiting(turn: Turn, why: Why, using: str) -> None:
    """What waited runs no more: its schedule is switched off or has ended, or a later tick takes its place."""
    if (at := turn.standing.waiting_tick) is not None:
        _waiting(turn, at, using).update(outcome=Outcome.SKIPPED, why=why, decided_at=turn.now)
    turn.standing.waiting_tick = None


def run_waiting(turn: Turn, road: Road, using: str) -> None:
    """The tick that waited: no job of the schedule is live any more, so its own is enqueued."""
    at = turn.standing.waiting_tick
    if at is None or road.live:
        return
    if _waiting(turn, at, using).exists():
        job_id = enqueue(turn, at)
        _waiting(turn, at, using).update(outcome=Outcome.RUN, job_id=job_id)
        road.live.append(job_id)
    turn.standing.waiting_tick, road.waits = None, False


def _waiting(turn: Turn, at: datetime, using: str) -> QuerySet[ScheduleTick]:
    return ScheduleTick.objects.using(using).filter(schedule_id=turn.row.pk, at=at, outcome=Outcome.WAITS)
