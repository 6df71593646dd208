"""What doctor says of the dead letters."""

from collections.abc import Iterator

from dlq.models import DeadLetter
from jobs.doctor.finding import About, Finding
from jobs.states import Reason

ABOUT = About("letters")


def examine() -> Iterator[Finding]:
    """Raises DatabaseError."""
    letters = DeadLetter.objects.filter(status=DeadLetter.Status.OPEN)
    yield from findings(letters.count(), letters.filter(reason=Reason.UNDECODABLE).count())


def findings(opened: int, undecodable: int) -> Iterator[Finding]:
    """Of the numbers of open letters, and of those among them that nobody could decode."""
    if undecodable:
        says = f"{undecodable:,} messages in Redis could not be decoded; they are dead letters with their bytes."
        yield ABOUT.warning("undecodable", says, "Find who writes to these keys of Redis, then discard them.")
    if opened > undecodable:
        says = f"{opened - undecodable:,} jobs are dead, and their letters open."
        yield ABOUT.info("open", says, "manage.py dead_letters list")
    if not opened:
        yield ABOUT.fine("No dead letter is open.")
