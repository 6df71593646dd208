"""What is refused of a schedule: each class takes the facts, makes the sentence, and keeps the facts."""

from jobs.errors import JobError


class BadTiming(JobError):
    """A timing that can't be read, or that never comes. `field` is the one to mend, as its form calls it."""

    def __init__(self, field: str, value: object, fault: str, instead: str) -> None:
        self.field, self.value, self.fault, self.instead = field, value, fault, instead
        super().__init__(f"{field.replace('_', ' ').capitalize()} {str(value)!r} {fault}. {instead}")


class BrokenSchedule(JobError):
    """A schedule that beat can't run as its row is; the reason says what to do."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
