"""Redis forgets, dies, falls silent, closes connections. On a given one only what is ours is touched."""

from jobs.conf import conf
from jobs.drill import crew, sockets
from jobs.drill.faults.fault import Fault
from jobs.drill.ground import Ground


def back_empty(ground: Ground) -> None:
    """Killed, and started again with nothing."""
    _restart(ground, empty=True)


def back_full(ground: Ground) -> None:
    """Killed, and started again with what it had kept."""
    _restart(ground, empty=False)


def flushed(ground: Ground) -> None:
    """FLUSHALL."""
    ground.bell.flush()


def silent(ground: Ground) -> None:
    """It takes connections and answers nobody."""
    try:
        ground.bell.freeze()
        ground.hold(1, 1 + conf().reconcile_after)
    finally:
        ground.bell.thaw()


def forgotten(ground: Ground) -> None:
    """Every key under our prefix is deleted; there may be none."""
    ground.bell.forget()


def cut(ground: Ground) -> int:
    """Every connection of our processes is closed by the server."""
    return ground.bell.cut(sockets.addresses(crew.marked()))


def _restart(ground: Ground, *, empty: bool) -> None:
    try:
        ground.bell.kill()
        ground.hold(0.5, 1 + conf().reconcile_after)
    finally:
        ground.bell.restart(empty=empty)


def _own(ground: Ground) -> bool:
    return ground.bell.own


FAULTS = [
    Fault("Redis killed, back empty", back_empty, _own),
    Fault("Redis killed, back with its data", back_full, _own),
    Fault("Redis flushed", flushed, _own),
    Fault("Redis silent", silent, _own),
    Fault("our keys in Redis deleted", forgotten, lambda ground: not ground.bell.own),
    Fault("our connections to Redis cut", cut, lambda ground: sockets.known() and ground.bell.may_cut()),
]
