"""Schedules on the console: their list, their page, their one form; and the pages of the timings they share."""

from jobs.console.schedules import page, timings

__all__ = ("page", "timings")
