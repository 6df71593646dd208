"""Upkeep that costs per second, not per job: dispatch, expire, reconcile, rescue. Run by the beat that leads."""

from jobs.clock.clock import Clock

__all__ = ("Clock",)
