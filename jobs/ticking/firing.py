"""Settle schedules: read their edits, keep their ticks, all in one transaction, so that a crash leaves nothing half.

The unique row (schedule, tick) decides: of two beats that come to a tick one enqueues its job.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, OperationalError, connections, router, transaction
from django_celery_beat.models import PeriodicTask

from jobs.conf import conf
from jobs.ledger.locks import is_gone
from jobs.ledger.publish import Batch, collecting
from jobs.lifecycle.moment import now
from jobs.messages import storable
from jobs.models import Job, ScheduleEdit, ScheduleStanding
from jobs.policies import Outcome, Overlap, Why
from jobs.registry import registered_tasks
from jobs.schedules import pressing
from jobs.schedules.validation import asked_once
from jobs.ticking import deciding, overlap, standing, writing
from jobs.ticking.ahead import Prepared
from jobs.ticking.failures import failing
from jobs.ticking.overlap import Road
from jobs.ticking.taking import take
from jobs.ticking.turns import Turn
from jobs.timing.plan import Tick

logger = logging.getLogger(__name__)
WHO = "beat"


@dataclass
class Settled:
    """When each settled schedule wakes next, which somebody else had in hand, and which waited in vain for a lock."""

    wakes: dict[int, datetime | None] = field(default_factory=dict)
    locked: list[int] = field(default_factory=list)
    stuck: list[int] = field(default_factory=list)


def settle(ids: Sequence[int], using: str | None = None, prepared: Mapping[int, Prepared] | None = None) -> Settled:
    """Settle these schedules together; one by one when one of them prevents that. Raises DatabaseError: it is gone."""
    using = using or router.db_for_write(Job)
    try:
        return _settle(ids, using, prepared or {})
    except Exception as error:
        if is_gone(error, using):
            raise
        if len(ids) > 1:
            logger.warning("%d schedules can't be settled together (%s); one by one", len(ids), str(error).strip())
    settled = Settled()
    for schedule in ids:
        one = _settle_alone(schedule, using)
        settled.wakes.update(one.wakes)
        settled.locked += one.locked
        settled.stuck += one.stuck
    return settled


def _settle_alone(schedule: int, using: str) -> Settled:
    """Locks, deadlocks and the like are no fault of the row: it is tried again. What its data cause is, whoever finds
    it: a driver that can't write a text raises what it likes."""
    try:
        return _settle([schedule], using, {})
    except Exception as error:
        if is_gone(error, using):
            raise
        if isinstance(error, OperationalError):
            return Settled(stuck=[schedule])
        said = str(error).strip() or type(error).__name__
        return Settled({schedule: _break(schedule, f"The database refuses it: {said}", using)})


def _settle(ids: Sequence[int], using: str, prepared: Mapping[int, Prepared]) -> Settled:
    with transaction.atomic(using=using):
        _wait_for_nobody(using)
        taken = take(sorted(ids), using, prepared)
        turns = [*taken.turns, *taken.ready]
        with collecting() as batch:
            _settle_turns(taken.turns, batch, using)
            batch.jobs.extend(turn.job for turn in taken.ready if turn.job)
            new = writing.insert_ticks([tick for turn in turns for tick in turn.ticks], using)
            _lose(turns, new, batch)
        writing.name_twins(batch.posted, using)
        writing.move_standings(turns, using)
        writing.count_runs(turns, using)
        writing.switch_off(taken.turns, using)
        writing.clear_notes(taken.turns, using)
        writing.cross_off(taken.turns, using)
        writing.forget(taken.gone, using)
        wakes = {turn.row.pk: turn.standing.wake_at for turn in turns}
    wakes.update({schedule: _break(schedule, reason, using) for schedule, reason in taken.unreadable.items()})
    return Settled({**wakes, **dict.fromkeys(taken.gone)}, taken.locked)


def _wait_for_nobody(using: str) -> None:
    """In this transaction nobody's lock is waited for long, and nobody waits for ours for longer than a lead lasts:
    a beat that is frozen in the middle loses its locks with its session. (A waiting SQLite ends by itself.)"""
    if connections[using].vendor == "postgresql":
        times = [int(seconds * 1000) for seconds in (conf().lock_patience, conf().leader_lease)]
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s::text, true), "
                "set_config('idle_in_transaction_session_timeout', %s::text, true)",
                times,
            )


def _settle_turns(turns: Sequence[Turn], batch: Batch, using: str) -> None:
    """Each by itself: what is wrong with one is no fault of the others."""
    live = asked_once()
    for turn in turns:
        with _one_at_a_time(turn, batch):
            _wake_up(turn, using)
            standing.renew(turn)
            turn.renewed = copy(turn.standing)
            unknown = turn.row.task not in registered_tasks()
            if turn.row.enabled and (unknown or standing.is_to_be_examined(turn)):
                reason = standing.examine(turn, live)
                standing.mark_broken(turn, reason) if reason else standing.mark_sound(turn)
            elif not turn.row.enabled:
                standing.mark_sound(turn)
    overlap.rename(turns, using)
    _keep_ticks([turn for turn in turns if not turn.standing.broken], batch, using)


def _keep_ticks(turns: Sequence[Turn], batch: Batch, using: str) -> None:
    ticks: dict[int, list[Tick]] = {}
    for turn in turns:
        with _one_at_a_time(turn, batch):
            ticks[turn.row.pk] = deciding.due(turn)
    turns = [turn for turn in turns if not turn.standing.broken]
    reasons = failing([turn for turn in turns if ticks[turn.row.pk]], using)
    wanted = [turn.row.name for turn in turns if turn.standing.waiting_tick or _minds(turn, ticks[turn.row.pk])]
    live = overlap.roads(wanted, using)
    # Who catches up with thousands keeps nobody waiting, least of all for longer than a lead lasts.
    most = max(1, conf().batch // max(1, len(turns)))
    for turn in turns:
        with _one_at_a_time(turn, batch):
            road = Road(live.get(turn.row.name, []), turn.standing.waiting_tick is not None)
            _keep(turn, ticks[turn.row.pk], most, road, reasons.get(turn.row.pk), using)


def _keep(turn: Turn, ticks: list[Tick], most: int, road: Road, reason: str | None, using: str) -> None:
    if not turn.row.enabled:
        deciding.give_up_waiting(turn, Why.PAUSED, using)
    elif reason:
        deciding.pause(turn, ticks)
        deciding.give_up_waiting(turn, Why.PAUSED, using)
        pressing.pause([turn.row.pk], WHO, reason)
        turn.row.enabled, turn.standing.armed_at = False, None
    else:
        if _has_ended(turn):
            deciding.give_up_waiting(turn, Why.ENDED, using)
            road.waits = False
        deciding.run_waiting(turn, road, using)
        deciding.take_up(turn, ticks, most, road, using)
        _end(turn)
    standing.set_alarm(turn)


def _end(turn: Turn) -> None:
    """A schedule whose end has come, or that had its only run before we came, is over."""
    is_over = turn.over or _has_ended(turn) or deciding.had_its_run(turn)
    turn.over = is_over and not turn.more and turn.standing.waiting_tick is None


def _has_ended(turn: Turn) -> bool:
    return turn.row.expires is not None and turn.row.expires <= turn.now


def _minds(turn: Turn, ticks: list[Tick]) -> bool:
    return bool(ticks) and turn.policy.overlap != Overlap.ALLOW


def _wake_up(turn: Turn, using: str) -> None:
    """The pause has ended by itself: its ticks count from the time that was given."""
    row, until = turn.row, turn.policy.resume_at
    if row.enabled or until is None or until > turn.now:
        return
    pressing.resume([row.pk], WHO, "The pause has ended.", anyway=True)
    row.enabled = True
    # Not the moment of this writing, that the trigger tells.
    enabled = {"schedule_id": row.pk, "kind": ScheduleEdit.Kind.ENABLED}
    ScheduleEdit.objects.using(using).filter(**enabled).delete()
    turn.edits = [*turn.edits, ScheduleEdit(**enabled, at=until)]


@contextmanager
def _one_at_a_time(turn: Turn, batch: Batch) -> Iterator[None]:
    """What goes wrong breaks this schedule only: none of its jobs is enqueued, and it stays where it stood."""
    before = len(batch.jobs)
    try:
        yield
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  whatever a row makes its readers say is the reason
        del batch.jobs[before:]
        turn.start_again()
        standing.mark_broken(turn, str(error) or type(error).__name__)


def _lose(turns: Sequence[Turn], won: set[tuple[int, str]], batch: Batch) -> None:
    """Ticks that were settled before: their jobs are not enqueued again."""
    lost = set()
    for turn in turns:
        for tick in turn.ticks:
            if tick.job_id is not None and tick.outcome == Outcome.RUN and (turn.row.pk, tick.job_id) not in won:
                lost.add(tick.job_id)
                turn.ran -= 1
    if lost:
        batch.jobs[:] = [job for job in batch.jobs if job.id not in lost]


def _break(schedule: int, reason: str, using: str) -> datetime | None:
    """Mark one broken that can't be read or written; when it is looked at again."""
    at = now(using)
    again = at + timedelta(seconds=conf().broken_again)
    says = {"broken": storable(reason)[:500], "broken_at": at, "next_tick": None, "wake_at": again}
    with transaction.atomic(using=using):
        _wait_for_nobody(using)
        name = PeriodicTask.objects.using(using).filter(pk=schedule).values_list("name", flat=True).first() or ""
        born = {**says, "name": name, "anchor": at, "position": at}
        kept, new = ScheduleStanding.objects.using(using).get_or_create(schedule_id=schedule, defaults=born)
        if not new:
            says["broken_at"] = kept.broken_at or at
            ScheduleStanding.objects.using(using).filter(pk=schedule).update(**says)
        ScheduleEdit.objects.using(using).filter(schedule_id=schedule, at__lte=at).delete()
    if new or not kept.broken:
        logger.warning("Schedule %s is broken: %s", name, reason)
    return again
