"""What is refused of a timing: the class takes the facts, makes the sentence, and keeps the facts."""

from jobs.errors import JobError


class BadTiming(JobError):
    """A timing that can't be read, or that never comes. `field` is the one to mend, as its form calls it."""

    def __init__(self, field: str, value: object, fault: str, instead: str) -> None:
        self.field, self.value, self.fault, self.instead = field, value, fault, instead
        super().__init__(f"{field.replace('_', ' ').capitalize()} {str(value)!r} {fault}. {instead}")
