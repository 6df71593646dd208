"""Why a drill does not start, or has no verdict; each sentence says what to do."""

from pathlib import Path

from jobs.errors import JobError


class NotAllowed(JobError):
    """This system may not be broken on purpose."""

    def __init__(self) -> None:
        super().__init__(
            "A drill breaks things on purpose and is for staging systems only. Set JOBS_ALLOW_DRILL=1 there."
        )


class NotConfirmed(JobError):
    """The person did not type the word."""

    def __init__(self, typed: str, word: str) -> None:
        self.typed, self.word = typed, word
        super().__init__(f"Nothing was done: you typed {typed!r}, not {word!r}. In a script, use --yes.")


class NotMigrated(JobError):
    """The tables are not those of this code."""

    def __init__(self, missing: int) -> None:
        self.missing = missing
        super().__init__(f"The database misses {missing} migrations. Run: manage.py migrate")


class NoRedis(JobError):
    """The Redis of REDIS_URL does not answer."""

    def __init__(self) -> None:
        super().__init__(
            "The Redis of REDIS_URL does not answer. Start it, or unset REDIS_URL: a drill brings its own."
        )


class DrillRunning(JobError):
    """Another drill holds this DATA_DIR."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        self.directory, self.pid = directory, pid
        super().__init__(f"A drill already runs{f' as process {pid}' if pid else ''} (its runs lie in {directory}).")


class UnknownFault(JobError):
    """No fault has this name, or it can't be made here."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"No fault is called {name!r} here. Known: {'; '.join(known)}.")


class NotReady(JobError):
    """What the drill started does not work."""

    def __init__(self, what: str, directory: Path) -> None:
        self.what, self.directory = what, directory
        super().__init__(f"{what} Its logs lie in {directory}.")


class Interrupted(JobError):
    """Somebody stopped the drill: there is no verdict."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(f"The drill was stopped and gives no verdict. Journal and logs lie in {directory}.")
