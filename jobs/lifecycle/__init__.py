"""The verbs of a job's life, and the only writer of `Job.state`.

Each is a conditional UPDATE: of two that race one wins.

Verbs take lists; one job is a list of one.
"""

from jobs.lifecycle.birth import Posted, enqueue
from jobs.lifecycle.claiming import Claimed, Refusal, claim
from jobs.lifecycle.queueing import (
    clear_holds,
    free_stale_slots,
    give_slots_back,
    hold_unknown,
    pause,
    resume,
    set_limits,
)
from jobs.lifecycle.requeueing import give_on, has_successor, requeue, succeed_by
from jobs.lifecycle.ringing import ring, ring_after_commit
from jobs.lifecycle.settling import (
    Death,
    Failure,
    cancel_running,
    count_duplicate,
    crash,
    die,
    die_waiting,
    fail_replaced,
    release,
    replace,
    report_progress,
    retry,
)
from jobs.lifecycle.succeeding import ResultRow, store, succeed
from jobs.lifecycle.waiting import cancel_waiting, dispatch, expire, mark_rung, request_cancel

__all__ = (
    "Claimed",
    "Death",
    "Failure",
    "Posted",
    "Refusal",
    "ResultRow",
    "cancel_running",
    "cancel_waiting",
    "claim",
    "clear_holds",
    "count_duplicate",
    "crash",
    "die",
    "die_waiting",
    "dispatch",
    "enqueue",
    "expire",
    "fail_replaced",
    "free_stale_slots",
    "give_on",
    "give_slots_back",
    "has_successor",
    "hold_unknown",
    "mark_rung",
    "pause",
    "release",
    "replace",
    "report_progress",
    "request_cancel",
    "requeue",
    "resume",
    "retry",
    "ring",
    "ring_after_commit",
    "set_limits",
    "store",
    "succeed",
    "succeed_by",
)
