"""Every single fault that a drill makes, by what it strikes. One at a time: the promise is about single faults."""

from jobs.drill.faults import beats, databases, redises, workers
from jobs.drill.faults.fault import Fault

FAULTS: list[Fault] = [*workers.FAULTS, *beats.FAULTS, *redises.FAULTS, *databases.FAULTS]

__all__ = ("FAULTS", "Fault")
