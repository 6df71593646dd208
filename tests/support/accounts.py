"""Do the books balance: what was accepted, what the journal saw, what the tables say (Jepsen's total queue)."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from tests.support.rows import Row
from tests.support.station import ENDED, Station

#: What the result row must say of each end; who never ended by itself needs none.
STATUS = {"succeeded": ["SUCCESS"], "dead": ["FAILURE"], "cancelled": [], "expired": []}


def balance(station: Station, accepted: Collection[str], timeout: float = 60, given_back: int = 0) -> list[Row]:
    """Waits until every accepted job has ended, and asserts that each ended exactly once, as its journal says.

    The jobs write `start ID` and `end ID` into the journal, as `plain_tasks.journaled` does. `given_back`: how often
    one of them may have begun without counting an attempt. Returns their rows, in the order of the ids.
    """
    rows = station.wait_ended(accepted, timeout)
    assert len(rows) == len(set(accepted)), "an accepted job has no row"
    books = read(station, accepted)
    for row in rows:
        books.check(row, given_back)
    return rows


@dataclass(frozen=True)
class Books:
    """All that was written about some jobs, by id: in the journal, and in the tables."""

    journal: Counter[str]
    attempts: dict[str, list[Row]]
    results: dict[str, list[Row]]
    letters: dict[str, list[Row]]

    def check(self, row: Row, given_back: int = 0) -> None:
        """One job: ended, settled once an attempt, never without a claim; its result and letter fit its state."""
        id, state, told = row["id"], row["state"], f"{row['id']}: {row}"
        assert state in ENDED, f"unfinished: {told}"
        bad = [attempt["number"] for attempt in self.attempts[id]]
        assert bad == list(range(1, len(bad) + 1)), f"an attempt was settled twice, or not at all: {bad}, {told}"
        assert len(bad) + (state == "succeeded") == row["attempt"], f"an attempt without an end, or one more: {told}"
        starts, ends = self.journal[f"start {id}"], self.journal[f"end {id}"]
        assert starts <= row["attempt"] + given_back, f"ran without a claim: {starts} times, {told}"
        assert ends >= 1 or state != "succeeded", f"succeeded without having run: {told}"
        results = [result["status"] for result in self.results[id] if result["status"] in ("SUCCESS", "FAILURE")]
        assert results == STATUS[state], f"the results say {results}: {told}"
        letters = [letter["status"] for letter in self.letters[id]]
        assert letters.count("open") == (state == "dead"), f"letters {letters}: {told}"


def read(station: Station, ids: Collection[str]) -> Books:
    """The books of these jobs."""
    return Books(
        journal=Counter(station.journal()),
        attempts=_of(station, "jobs_attempt", "job_id", ids, order="number, id"),
        results=_of(station, "django_celery_results_taskresult", "task_id", ids),
        letters=_of(station, "dlq_deadletter", "job_id", ids),
    )


def _of(station: Station, table: str, key: str, ids: Collection[str], order: str = "id") -> dict[str, list[Row]]:
    """The rows of a table that belong to these jobs, by job."""
    marks = ", ".join(["%s"] * len(ids))
    found: dict[str, list[Row]] = defaultdict(list)
    for row in station.sql(f"SELECT * FROM {table} WHERE {key} IN ({marks}) ORDER BY {order}", *ids):
        found[row[key]].append(row)
    return found
