"""The machine's settings, typed: every time constant (seconds) and limit, with its reason.

`settings.JOBS` overrides by upper-case name. JOBS_TIME_SCALE (tests: 0.1) multiplies the time constants.
"""

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from django.conf import settings


@dataclass(frozen=True)
class Conf:
    #: A worker writes its row this often.
    heartbeat: float = 10
    #: A worker silent this long is dead; its jobs are rescued (heartbeat + silence + rescue_every <= 45 s).
    silence: float = 30
    #: A running job may outlive its hard limit by this before it is taken for orphaned.
    lease_margin: float = 30
    #: The dispatcher looks for due jobs this often (a due job is rung within 1 s).
    dispatch_every: float = 0.5
    #: The reconciler looks for lost hints this often.
    reconcile_every: float = 5
    #: A rung job untouched this long may have lost its hint (it has, if its list in Redis is empty).
    reconcile_after: float = 10
    #: A list in Redis that never gets empty is probed this often.
    canary_every: float = 10
    #: The rescuer looks for orphans this often.
    rescue_every: float = 5
    #: Results past result_expires are removed this often, a moment long.
    prune_every: float = 30
    #: A beat that does not renew its lease for this long has lost the lead.
    leader_lease: float = 12
    #: One that stands by asks for the lead this often (leader_lease + standby_every <= 15 s).
    standby_every: float = 1
    #: The leading beat asks this often for edited schedules, ticks to come and jobs that a tick waited for.
    look_every: float = 1
    #: It takes up ticks this long ahead, and so keeps them on time between two questions (>= 2 * look_every).
    look_ahead: float = 2.5
    #: A broken schedule is looked at again this often: its task or queue may be known by now.
    broken_again: float = 60
    #: All schedules are read again this often, some at a time, whatever the triggers told.
    reread_every: float = 300
    #: A tick later than this is late: shown so, and skipped by the policy that skips missed ticks.
    late_after: float = 60
    #: Waits between the attempts of a job that killed its worker; the last one repeats.
    crash_backoff: tuple[float, ...] = (5, 30, 120)
    #: How long claim and settle wait for a database that is down before they hand the job back.
    patience: float = 60
    #: First and longest wait between two tries to reach the database.
    patience_first: float = 0.1
    patience_step_max: float = 2
    #: A worker that lost Redis tries again after the first wait, then ever slower, never slower than the second.
    reconnect_first: float = 0.5
    reconnect_max: float = 4
    #: How often `AsyncResult.get()` looks.
    poll: float = 0.05
    #: No live worker has known a task for this long: its jobs die (a day).
    unknown_task_patience: float = 86_400

    # --- retries of the built-in tasks ---
    #: Between two attempts of a task that counts its own (3 retries).
    retry_delay: float = 60
    #: After a payment ran into its soft time limit.
    retry_delay_after_limit: float = 120
    #: The longest wait of an exponential backoff.
    retry_backoff_max: float = 600

    # --- not scaled: limits of the outside, counts, sizes ---
    #: After a failed ring Redis is left alone for this long.
    breaker: float = 5
    redis_connect_timeout: float = 0.5
    redis_timeout: float = 1
    #: Start although the broker's settings can lose hints (`jobs.safety`): an alarm instead of a refusal.
    allow_unsafe_broker: bool = False
    #: A job that kills its worker this many times is dead.
    max_crashes: int = 3
    #: Bytes of outcomes that a host keeps in DATA_DIR while the database is down; beyond, workers wait.
    spool_bytes: int = 256 * 1024 * 1024
    #: A duty of the clock that takes longer than this goes on in its next turn: due jobs come first.
    turn: float = 0.25
    #: The clock, a worker's parent and its heartbeat wait this long for a row that somebody has locked.
    lock_patience: float = 0.25
    #: A process whose pulse is younger than this lives, however short its heartbeat is.
    pulse_fresh: float = 5
    #: Files that killed processes left in the spool and, of other hosts, among the pulses, are removed after this.
    leftover_after: float = 86_400
    #: Rows moved by one statement of the clock.
    batch: int = 500
    #: Schedules whose ticks are kept in one transaction.
    ticks_together: int = 100
    #: A chord's header that is drawn from a generator is posted in parts, this often (seconds).
    slow_draw: float = 0.25
    #: Bytes of JSON: warn above the first, refuse above the second (through `.delay()`).
    arguments_warn: int = 64 * 1024
    arguments_max: int = 1024 * 1024
    #: Days that ended jobs are kept.
    retention_days: int = 30


SCALED = (
    "heartbeat silence lease_margin dispatch_every reconcile_every reconcile_after canary_every rescue_every "
    "prune_every leader_lease standby_every look_every look_ahead broken_again reread_every late_after crash_backoff "
    "reconnect_first reconnect_max patience_first patience_step_max retry_delay retry_delay_after_limit "
    "retry_backoff_max"
).split()


@cache
def conf() -> Conf:
    """The settings in force."""
    given: dict[str, Any] = {name.lower(): value for name, value in settings.JOBS.items()}
    scale = given.get("time_scale", 1.0)
    values = Conf(**{f.name: given[f.name] for f in fields(Conf) if f.name in given})
    return replace(values, **{name: _scaled(getattr(values, name), scale) for name in SCALED})


def _scaled(value: Any, scale: float) -> Any:
    return tuple(v * scale for v in value) if isinstance(value, tuple) else value * scale
