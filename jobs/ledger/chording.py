"""Chords: each member counts once, in the transaction in which it ends; the last one enqueues the body."""

import json
import logging
from functools import partial
from typing import Any

from celery import states
from celery.canvas import maybe_signature
from celery.exceptions import ChordError
from celery.result import GroupResult, ResultSet, allow_join_result
from celery.utils.functional import _regen
from django.db import transaction

from jobs import lifecycle
from jobs.errors import DATABASE_DOWN
from jobs.ledger import current, publish
from jobs.ledger.locks import RowLocked
from jobs.ledger.reading import ReadingBackend
from jobs.lifecycle import chords

logger = logging.getLogger(__name__)


class ChordBackend(ReadingBackend):
    """Counts in django-celery-results' table; its own counting polls, and hangs when a member comes twice."""

    def apply_chord(self, header_result_args: Any, body: Any, **kwargs: Any) -> None:
        if isinstance(header_result_args, tuple) and isinstance(header_result_args[1], _regen):
            # A generator: to list its members now would draw them all before the first one is posted.
            current.in_settle(partial(chords.create_open, header_result_args[0], self.using))
            publish.being_drawn.add(header_result_args[0])
            return
        header = header_result_args
        if not isinstance(header, GroupResult):
            header = self.app.GroupResult(*header_result_args)
        members = [member.as_tuple() for member in header]
        size = body.get("chord_size") or len(members)
        current.in_settle(partial(chords.create, header.id, json.dumps(members), size, self.using))

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        publish.being_drawn.discard(group_id)
        current.in_settle(partial(chords.resize, group_id, chord_size, self.using))

    def add_to_chord(self, chord_id: str, result: Any) -> None:
        """`Task.add_to_chord`: a running member brings another one."""
        chords.join(chord_id, json.dumps(result.as_tuple()), self.using)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """A member has ended, once: it counts in the transaction in which it ended. The last one rings the body."""
        if not request.group or not request.id:
            return
        with transaction.atomic(using=self.using), current.continuing():
            counter = chords.count_down(request.group, request.group_index, request.id, self.using)
            if counter is not None:
                self._call_body(chords.header_of(counter, self.app), maybe_signature(request.chord, app=self.app))

    def _call_body(self, header: Any, body: Any) -> None:
        """Enqueue the body with the header's results; or fail it, keeping the count for a member that is requeued."""
        try:
            with allow_join_result():
                results = header.join_native(timeout=self.app.conf.result_chord_join_timeout, propagate=True)
        except Exception as exc:  # noqa: BLE001  (a member's error, whatever it is, is the body's)
            self.chord_error_from_stack(body, ChordError(f"{_culprit(header)}{exc!r}"))
            return
        # The count lets each run of a chord call its body once: an ended body is one of an earlier run.
        lifecycle.give_on([step.id for step in getattr(body, "tasks", [body]) if step.id], using=self.using)
        try:
            body.delay(results)
        except (*DATABASE_DOWN, RowLocked):
            raise  # the member's settle is tried again, whole
        except Exception as exc:  # as stock: a body that can't be posted has failed
            logger.exception("The body of chord %s can't be posted", header.id)
            self.chord_error_from_stack(body, ChordError(f"Callback error: {exc!r}"))
        else:
            chords.close(header.id, self.using)


def _culprit(header: Any) -> str:
    """Which member failed, as Celery words it."""
    for member in header.results:
        if not isinstance(member, ResultSet) and member.state in states.PROPAGATE_STATES:
            return f"Dependency {member.id} raised "
    return ""
