"""Measurements: not part of the running system."""
