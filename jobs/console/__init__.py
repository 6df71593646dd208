"""The console: the admin pages of jobs, queues, workers, schedules, results and activity."""
