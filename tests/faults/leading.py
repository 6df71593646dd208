"""With these tasks a beat always takes itself for the leader, whatever the lease says."""

from jobs.clock.leader import Leader


def leads(self: Leader) -> bool:
    return True


Leader.leads = leads  # type: ignore[method-assign]
