"""Workers die, freeze, are stopped in order, and change in number."""

import os
from contextlib import suppress
from signal import SIGCONT, SIGKILL, SIGSTOP

from jobs.conf import conf
from jobs.drill import crew
from jobs.drill.faults.fault import Fault
from jobs.drill.ground import Ground
from jobs.supervisor.process import Process


def killed(ground: Ground) -> None:
    """Parent and children at once, as when a machine goes; another starts a moment later."""
    worker = _one(ground)
    crew.send(worker, SIGKILL)
    ground.hold(0, 2)
    worker.start()


def all_killed(ground: Ground) -> None:
    """Every worker at once."""
    for worker in ground.crew.workers:
        crew.send(worker, SIGKILL)
    ground.hold(0, 2)
    for worker in ground.crew.workers:
        worker.start()


def parent_killed(ground: Ground) -> None:
    """The children are left to themselves."""
    worker = _one(ground)
    crew.send(worker, SIGKILL, whole=False)
    ground.hold(0, 2)
    worker.start()


def child_killed(ground: Ground) -> int:
    """As when the kernel needs memory."""
    if pid := _child(ground):
        _send(pid, SIGKILL)
    return pid


def frozen(ground: Ground) -> None:
    """Silent for so long that its jobs are rescued; then it wakes, and its late ends must be refused."""
    worker = _one(ground)
    _freeze(ground, worker, whole=True)


def parent_frozen(ground: Ground) -> None:
    """No heartbeat, while its children go on."""
    _freeze(ground, _one(ground), whole=False)


def child_frozen(ground: Ground) -> int:
    """A body that makes no progress, in a worker that is well."""
    if pid := _child(ground):
        try:
            _send(pid, SIGSTOP)
            ground.hold(*_long_silence())
        finally:
            _send(pid, SIGCONT)
    return pid


def stopped(ground: Ground) -> None:
    """A deployment: SIGTERM, the soft shutdown hands back what does not end, a new one starts."""
    worker = _one(ground)
    crew.stop(worker)
    worker.start()


def scaled(ground: Ground) -> None:
    """One worker more for a while, then softly one less."""
    worker = ground.crew.add_worker()
    try:
        ground.hold(3, 8)
    finally:
        crew.stop(worker)
        ground.crew.workers.remove(worker)


def _freeze(ground: Ground, worker: Process, *, whole: bool) -> None:
    try:
        crew.send(worker, SIGSTOP, whole=whole)
        ground.hold(*_long_silence())
    finally:
        crew.send(worker, SIGCONT, whole=whole)


def _long_silence() -> tuple[float, float]:
    """Surely silent, and the rescuer has looked."""
    least = conf().silence + 2 * conf().rescue_every
    return least, least + conf().heartbeat


def _one(ground: Ground) -> Process:
    return ground.rng.choice(ground.crew.workers)


def _child(ground: Ground) -> int:
    """The pid of one; 0: the worker has none at this moment."""
    pids = crew.children(_one(ground))
    return ground.rng.choice(pids) if pids else 0


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


FAULTS = [
    Fault("worker killed", killed),
    Fault("all workers killed", all_killed),
    Fault("worker's parent killed", parent_killed),
    Fault("worker's child killed", child_killed),
    Fault("worker frozen", frozen),
    Fault("worker's parent frozen", parent_frozen),
    Fault("worker's child frozen", child_frozen),
    Fault("worker stopped and started", stopped),
    Fault("worker added and removed", scaled),
]
