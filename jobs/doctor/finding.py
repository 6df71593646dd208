"""One line of doctor's."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"  # jobs are lost, stand still, or will
    WARNING = "warning"  # it works today
    INFO = "info"  # meant so, perhaps
    FINE = "fine"


@dataclass(frozen=True)
class Finding:
    """What is so, of which subject, and what to do about it."""

    severity: Severity
    subject: str
    #: Stays the same over versions: what a script asks for.
    code: str
    says: str
    do: str = ""


@dataclass(frozen=True)
class About:
    """Makes the findings of one subject."""

    subject: str

    def error(self, code: str, says: str, do: str) -> Finding:
        return Finding(Severity.ERROR, self.subject, f"{self.subject}.{code}", says, do)

    def warning(self, code: str, says: str, do: str) -> Finding:
        return Finding(Severity.WARNING, self.subject, f"{self.subject}.{code}", says, do)

    def info(self, code: str, says: str, do: str = "") -> Finding:
        return Finding(Severity.INFO, self.subject, f"{self.subject}.{code}", says, do)

    def fine(self, says: str) -> Finding:
        return Finding(Severity.FINE, self.subject, f"{self.subject}.fine", says)

    def skew(self, whose: str, seconds: float) -> Iterator[Finding]:
        """What a clock that differs by so many seconds from the database's means."""
        if abs(seconds) <= SKEW_WARNING:
            return
        say = self.error if abs(seconds) > SKEW_ERROR else self.warning
        ahead = "behind" if seconds > 0 else "ahead of"
        yield say(
            "skew",
            f"The clock of {whose} is {abs(seconds):.1f} s {ahead} the database's.",
            "Let both hosts keep time with NTP: schedules and expiries go by them.",
        )


#: Seconds that two clocks may differ.
SKEW_WARNING, SKEW_ERROR = 1.0, 10.0
