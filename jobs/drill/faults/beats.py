"""Beats die, freeze and are restarted; the one that leads, where it is ours."""

from signal import SIGCONT, SIGKILL, SIGSTOP

from jobs.clock.leader import NAME
from jobs.conf import conf
from jobs.drill import crew
from jobs.drill.faults.fault import Fault
from jobs.drill.ground import Ground
from jobs.ledger.patience import patiently
from jobs.models import Lease
from jobs.supervisor.process import Process


def killed(ground: Ground) -> None:
    """The other one takes the lead when the lease has ended."""
    beat = _leading(ground)
    crew.send(beat, SIGKILL)
    ground.hold(0, 2)
    beat.start()


def frozen(ground: Ground) -> None:
    """It wakes believing that it leads."""
    beat = _leading(ground)
    try:
        crew.send(beat, SIGSTOP)
        ground.hold(conf().leader_lease, 2 * conf().leader_lease)
    finally:
        crew.send(beat, SIGCONT)


def restarted(ground: Ground) -> None:
    """All of them: for a moment no clock runs."""
    for beat in ground.crew.beats:
        crew.stop(beat)
    for beat in ground.crew.beats:
        beat.start()


def _leading(ground: Ground) -> Process:
    """The beat that holds the lease; any, when it is none of ours."""
    lease = Lease.objects.using(ground.using).filter(name=NAME).values_list("holder", flat=True)
    holder = patiently(lease.first, ground.using) or ""
    leads = [beat for beat in ground.crew.beats if f":{crew.pid(beat)}:" in holder]
    return leads[0] if leads else ground.rng.choice(ground.crew.beats)


FAULTS = [
    Fault("beat killed", killed),
    Fault("beat frozen", frozen),
    Fault("all beats restarted", restarted),
]
