"""Where Django looks for an app's admin pages: ours are one noun a file in `jobs.console`."""

from jobs.console import activity, jobs, queues, results, schedules, tokens, workers

__all__ = ("activity", "jobs", "queues", "results", "schedules", "tokens", "workers")
