"""The end of an attempt: one transaction, written now, or kept in the spool until the database takes it."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from jobs.conf import conf
from jobs.ledger import current, spool
from jobs.ledger.current import Claim
from jobs.ledger.errbacks import aside
from jobs.ledger.patience import DatabaseDown, afresh, patiently, undisturbed
from jobs.ledger.postponed import write_or_postpone

logger = logging.getLogger(__name__)


@dataclass
class Ending:
    """What is one transaction: the move, and what belongs to it. Its parts can be pickled, for the spool."""

    held: Claim
    move: Callable[[], bool]
    parts: Sequence[Callable[[], Any]]

    def write(self) -> bool:
        """Do it; False for a late writer, whose parts are dropped."""
        if not self.held.inside:
            self.held.afterwards.clear()
        if not self.parts:
            return self.move()
        with transaction.atomic(using=self.held.using):
            done = self.move()
            if done:
                for part in self.parts:
                    part()
        return done

    def write_late(self) -> None:
        """From the spool, by whoever finds it: the attempt's own process had to give up waiting."""
        held = self.held
        held.patient, held.settling = False, True
        with current.active(held), current.continuing():
            done = self.write()
        held.settling = False
        logger.warning("The end of job %s was written from the spool%s", held.id, "" if done else ", too late")
        if done:
            aside(held.afterwards)


def settled(held: Claim, move: Callable[[], bool], *, and_then: Sequence[Callable[[], Any]] = ()) -> bool:
    """Do the move, and what belongs to it, in one transaction; False for a late writer, whose part is dropped.

    While the database is down it is tried again, whole, and lies in the spool: an attempt that ended keeps its
    outcome, whatever becomes of this process. When the spool can't take it either this process waits.
    """
    done = _settling(held, Ending(held, move, and_then))
    held.settled = True
    if not done:
        logger.warning("Job %s was settled by somebody else; what this attempt did is not recorded", held.id)
        return False
    if not held.inside:
        if held.patient:
            for errback in held.afterwards:
                errback()
        else:
            aside(held.afterwards)
    return True


def _settling(held: Claim, ending: Ending) -> bool:
    held.settling = True
    try:
        with current.continuing():
            if held.inside:
                return ending.write()
            if not held.patient:
                return write_or_postpone(held, ending.write)
            with undisturbed():
                afresh(held.using)
                return _spooled(held, ending)
    finally:
        held.settling = False


def _spooled(held: Claim, ending: Ending) -> bool:
    """Wait for the database with the outcome on disk."""
    kept: list[spool.Entry | None] = []
    try:
        done = _written(ending, kept)
    except DatabaseDown as error:
        logger.error("Job %s has ended, and is settled when the database is back: %s", held.id, error)
        _leave(kept)
        held.afterwards.clear()
        return True
    except Exception:
        _forget(kept)
        raise
    except BaseException:  # this process is told to end
        _leave(kept)
        raise
    _forget(kept)
    return done


def _written(ending: Ending, kept: list[spool.Entry | None]) -> bool:
    """Raises DatabaseDown when patience ends and the outcome is on disk: while the spool is full it has no other
    place than this process."""
    while True:
        try:
            return patiently(ending.write, ending.held.using, meanwhile=lambda: kept.append(_kept(ending)))
        except DatabaseDown:
            if any(kept):
                raise
            time.sleep(conf().patience_step_max)


def _kept(ending: Ending) -> spool.Entry | None:
    ending.held.afterwards.clear()
    return spool.write(ending.write_late, ending.held.token)


def _forget(kept: Sequence[spool.Entry | None]) -> None:
    for entry in filter(None, kept):
        entry.told()


def _leave(kept: Sequence[spool.Entry | None]) -> None:
    for entry in filter(None, kept):
        entry.leave()
