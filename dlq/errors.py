"""What can be refused about dead letters."""

from jobs.errors import JobError


class UnknownLetter(JobError):
    """No dead letter has this number."""

    def __init__(self, letter_id: int) -> None:
        self.letter_id = letter_id
        super().__init__(f"No dead letter has the number {letter_id}. It never existed, or its retention has ended.")


class LetterClosed(JobError):
    """A dead letter that was already requeued or discarded."""

    def __init__(self, letter_id: int, status: str, closed_by: str) -> None:
        self.letter_id, self.status, self.closed_by = letter_id, status, closed_by
        who = f" by {closed_by}" if closed_by else ""
        super().__init__(f"Dead letter {letter_id} was already {status}{who}; only an open one can be acted on.")


class LetterWithoutJob(JobError):
    """A dead letter of a message that named no job, so that there is nothing to run again."""

    def __init__(self, letter_id: int) -> None:
        self.letter_id = letter_id
        super().__init__(f"Dead letter {letter_id} holds a message that names no job: discard it, post the job anew.")
