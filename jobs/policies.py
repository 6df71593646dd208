"""What a schedule may be told to do about missed ticks and overlapping runs, and what becomes of a tick."""

from django.db.models import TextChoices


class Missed(TextChoices):
    """What becomes of ticks that nobody kept: beat was down, or the database was."""

    SKIP = "skip", "Skip them"
    ONCE = "once", "Run once, for the last of them"
    ALL = "all", "Run each, up to a number"


class Overlap(TextChoices):
    """What a tick does while the job of an earlier one has not ended."""

    ALLOW = "allow", "Run beside it"
    SKIP = "skip", "Skip this tick"
    QUEUE = "queue", "Run after it; one waits at most"
    CANCEL = "cancel", "Cancel it, then run"


class Outcome(TextChoices):
    """What became of a tick."""

    RUN = "run", "Enqueued a job"
    WAITS = "waits", "Waits for the running job to end"
    SKIPPED = "skipped", "Skipped"


class Why(TextChoices):
    """Why a tick was skipped."""

    NONE = "", "-"
    MISSED = "missed", "Beat was down, and missed ticks are skipped"
    REPLACED = "replaced", "Beat was down; a later tick ran in its place"
    LIMIT = "limit", "Beat was down; more ticks were missed than are run"
    LATE = "late", "Later than its maximum lateness"
    ENDED = "ended", "The schedule had ended when beat came to it"
    OVERLAP = "overlap", "The job of an earlier tick had not ended"
    SUPERSEDED = "superseded", "A later tick waits in its place"
    PAUSED = "paused", "The schedule was paused after failures in a row"
