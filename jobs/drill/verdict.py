"""The total-queue check: every accepted job ended exactly one recorded way, and every end is explained by a claim."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from jobs.drill.journal import Entry
from jobs.states import CELERY_STATUS, ENDED, State


@dataclass(frozen=True)
class Account:
    """What the tables say of one job."""

    id: str
    state: str
    #: Claims, and deaths of its workers, as the row counts them.
    attempt: int
    crashes: int
    #: The numbers of the attempts whose unsuccessful end is recorded.
    ends: tuple[int, ...] = ()
    #: The result's status; None: no result is recorded.
    result: str | None = None
    #: It ended so long ago that its result may have been pruned.
    old: bool = False


@dataclass
class Told:
    """What the journal says of one job."""

    kind: str = ""
    after: tuple[str, ...] = ()
    accepted: bool = False
    #: (attempt, token) of every run that began, that came to its end, and that raised an error.
    starts: list[tuple[int, str]] = field(default_factory=list)
    ends: list[tuple[int, str]] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)

    @property
    def again(self) -> bool:
        """Ran more often than its own errors explain."""
        return len(self.starts) - len(self.errors) > (self.kind != "fail")

    def runs(self, event: str) -> list[tuple[int, str]]:
        """The list that a line of this event belongs to."""
        return {"start": self.starts, "end": self.ends, "failed": self.errors}[event]


@dataclass(frozen=True)
class Verdict:
    """By job id, what is wrong with it."""

    lost: dict[str, str]
    doubled: dict[str, str]
    unfinished: dict[str, str]
    accepted: int
    #: Jobs whose body ran again without having raised an error: at least once is the promise, so this is no fault.
    again: int
    #: Jobs that are dead because their workers died under them too often, though they were meant to succeed.
    given_up: int
    #: How many jobs ended in each state.
    states: dict[str, int]

    @property
    def clean(self) -> bool:
        return bool(self.accepted) and not (self.lost or self.doubled or self.unfinished)

    def __str__(self) -> str:
        return f"lost {len(self.lost)}, doubled {len(self.doubled)}, unfinished {len(self.unfinished)}"


def judge(entries: Iterable[Entry], accounts: Iterable[Account], max_crashes: int) -> Verdict:
    """Compare the journal with the tables; whatever does not fit is named."""
    told, kept = read(entries), {account.id: account for account in accounts}
    lost, doubled, unfinished = dict[str, str](), dict[str, str](), dict[str, str]()
    for id in told.keys() | kept.keys():
        account, job = kept.get(id), told.get(id, Told())
        excused = any(after not in kept or kept[after].state != State.SUCCEEDED for after in job.after)
        if why := "; ".join(losses(job, account, max_crashes, excused=excused)):
            lost[id] = why
        if account and account.state not in ENDED:
            unfinished[id] = f"is {account.state}"
        if why := "; ".join(doubles(job, account)):
            doubled[id] = why
    accepted = sum(job.accepted for job in told.values())
    again = sum(job.again for job in told.values())
    given_up = sum(_crashed_out(a, max_crashes) and told[id].kind != "fail" for id, a in kept.items() if id in told)
    states = dict(Counter(a.state for a in kept.values()))
    return Verdict(lost, doubled, unfinished, accepted, again, given_up, states)


def losses(job: Told, account: Account | None, max_crashes: int, *, excused: bool = False) -> Iterator[str]:
    """Why this job is lost. `excused`: a job that it comes after did not succeed, so it need not have run."""
    if account is None:
        if job.accepted and not excused:
            yield "accepted, but it has no row"
        elif job.starts and not job.accepted:
            yield "it ran, but it has no row"
        return
    if account.state not in ENDED:
        return
    wanted = State.DEAD if job.kind == "fail" else State.SUCCEEDED
    given_up = _crashed_out(account, max_crashes)
    if account.state != wanted and not (given_up or excused):
        yield f"it ended {account.state}, nothing made it"
    elif account.state == State.DEAD and not (given_up or excused or account.attempt in dict(job.errors)):
        yield f"dead, but its attempt {account.attempt} never failed"
    if _settles(account) < account.attempt:
        yield f"{account.attempt} claims, but {_settles(account)} recorded ends"
    if account.result is None and not (excused or account.old):
        yield "its result is not recorded"


def doubles(job: Told, account: Account | None) -> Iterator[str]:
    """Why this job counts as settled twice, or as settled without a claim."""
    if again := [token for token, times in Counter(token for _, token in job.starts).items() if times > 1]:
        yield f"{len(again)} claims ran its body more than once"
    if account is None:
        return
    if not job.kind:
        yield "a row that nobody offered"
    if _settles(account) > account.attempt:
        yield f"{_settles(account)} recorded ends, but {account.attempt} claims"
    if len(set(account.ends)) < len(account.ends):
        yield f"the ends of its attempts are {account.ends}: one was settled twice"
    if late := max((attempt for attempt, _ in job.starts), default=0) - account.attempt:
        yield from [f"attempt {account.attempt + late} ran without a claim"] if late > 0 else []
    if account.state == State.SUCCEEDED and account.attempt not in {attempt for attempt, _ in job.ends}:
        yield f"succeeded, but its attempt {account.attempt} never came to its end"
    if account.state in ENDED and account.result not in (None, CELERY_STATUS[State(account.state)]):
        yield f"{account.state}, but its result says {account.result}"


def read(entries: Iterable[Entry]) -> dict[str, Told]:
    """The journal, job by job."""
    told: dict[str, Told] = defaultdict(Told)
    for entry in entries:
        if entry.event in ("offered", "accepted"):
            id, kind, after = entry.words
            told[id].kind, told[id].after = kind, () if after == "-" else tuple(after.split(","))
            told[id].accepted |= entry.event == "accepted"
        elif entry.event in ("start", "end", "failed"):
            id, attempt, token = entry.words
            told[id].runs(entry.event).append((int(attempt), token))
    return dict(told)


def _crashed_out(account: Account, max_crashes: int) -> bool:
    return account.state == State.DEAD and account.crashes >= max_crashes


def _settles(account: Account) -> int:
    return len(account.ends) + (account.state == State.SUCCEEDED)


def sentences(found: dict[str, str]) -> Sequence[str]:
    """One line a job."""
    return [f"{id}: {why}" for id, why in sorted(found.items())]
