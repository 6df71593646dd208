"""Tests that start workers, beat and web as processes, as production does."""
