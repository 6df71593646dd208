"""Do the books balance: what was accepted, what the journal saw, what the tables say (Jepsen's total queue)."""

from collections import Counter
from collections.abc import Collection

from tests.support.rows import Row
from tests.support.station import ENDED, Station

#: What `AsyncResult.status` must say of each end.
STATUS = {"succeeded": "SUCCESS", "dead": "FAILURE", "cancelled": "REVOKED", "expired": "REVOKED"}


def balance(station: Station, accepted: Collection[str], timeout: float = 60) -> list[Row]:
    """Waits until every accepted job has ended, and asserts that each ended exactly once, as its journal says.

    The jobs are those of `plain_tasks.journaled`. Returns their rows, in the order of the ids.
    """
    rows = station.wait_ended(accepted, timeout)
    assert len(rows) == len(set(accepted)), "an accepted job has no row"
    journal = Counter(station.journal())
    for row in rows:
        check(station, row, starts=journal[f"start {row['id']}"], ends=journal[f"end {row['id']}"])
    return rows


def check(station: Station, row: Row, *, starts: int, ends: int) -> None:
    """One job: ended, settled once an attempt, never without a claim; its result and letter fit its state."""
    state, told = row["state"], f"{row['id']}: {row}"
    assert state in ENDED, f"unfinished: {told}"
    bad = station.attempts(row["id"])
    assert len(bad) + (state == "succeeded") == row["attempt"], f"an attempt without an end, or one too many: {told}"
    assert len({attempt["number"] for attempt in bad}) == len(bad), f"an attempt was settled twice: {told}"
    assert starts <= row["attempt"], f"ran without a claim: {starts} times, {told}"
    if state == "succeeded":
        assert ends >= 1, f"succeeded without having run: {told}"
    result = station.result(row["id"])
    assert result.get("status") == STATUS[state], f"the result says {result.get('status')}: {told}"
    letters = [letter["status"] for letter in station.letters(row["id"])]
    assert letters.count("open") == (state == "dead"), f"letters {letters}: {told}"
