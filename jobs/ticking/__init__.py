"""Keeping the schedules: the beat that leads turns ticks into jobs, each exactly once."""
