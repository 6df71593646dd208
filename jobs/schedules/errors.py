"""What is refused of a schedule."""

from jobs.errors import JobError


class BrokenSchedule(JobError):
    """A schedule that beat can't run as its row is; the reason says what to do."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
