"""The drill's verdict, from made-up journals and rows: each way to lose, double or not finish a job is found."""

from typing import Any

import pytest

from jobs.drill.journal import Entry
from jobs.drill.verdict import Account, Verdict, judge

CRASHES = 3
GOOD = ["offered a work -", "accepted a work -", "start a 1 t1", "end a 1 t1"]


def told(*lines: str) -> list[Entry]:
    """A journal; the times don't matter."""
    return [Entry(0.0, line.split()[0], tuple(line.split()[1:])) for line in lines]


def account(id: str = "a", state: str = "succeeded", attempt: int = 1, crashes: int = 0, **more: Any) -> Account:
    status = {"succeeded": "SUCCESS", "dead": "FAILURE", "cancelled": "REVOKED", "expired": "REVOKED"}
    return Account(id, state, attempt, crashes, **{"result": status.get(state), **more})


def verdict(lines: list[str], *accounts: Account) -> Verdict:
    return judge(told(*lines), accounts, CRASHES)


# --- what is right ---


def test_a_job_that_ran_once_and_succeeded_is_right() -> None:
    found = verdict(GOOD, account())
    assert str(found) == "lost 0, doubled 0, unfinished 0"
    assert (found.clean, found.accepted, found.again, found.states) == (True, 1, 0, {"succeeded": 1})


def test_running_again_after_a_crash_is_at_least_once_and_right() -> None:
    found = verdict([*GOOD[:3], "start a 2 t2", "end a 1 t1", "end a 2 t2"], account(attempt=2, crashes=1, ends=(1,)))
    assert (str(found), found.again) == ("lost 0, doubled 0, unfinished 0", 1)


def test_running_again_because_it_asked_for_a_retry_is_not_counted() -> None:
    lines = ["accepted a work -", "start a 1 t1", "failed a 1 t1", "start a 2 t2", "end a 2 t2"]
    lines += ["accepted b fail -", "start b 1 t3", "failed b 1 t3"]
    found = verdict(lines, account(attempt=2, ends=(1,)), account("b", state="dead", ends=(1,)))
    assert (str(found), found.again) == ("lost 0, doubled 0, unfinished 0", 0)


def test_a_job_meant_to_fail_that_ran_again_is_counted() -> None:
    lines = ["accepted a fail -", "start a 1 t1", "start a 2 t2", "failed a 2 t2"]
    found = verdict(lines, account(state="dead", attempt=2, crashes=1, ends=(1, 2)))
    assert (str(found), found.again) == ("lost 0, doubled 0, unfinished 0", 1)


def test_a_run_that_was_handed_back_and_begun_again_is_right() -> None:
    assert verdict([*GOOD[:3], "start a 1 t2", "end a 1 t2"], account()).clean


def test_a_job_meant_to_fail_is_right_when_it_is_dead() -> None:
    lines = ["accepted a fail -", "start a 1 t1", "failed a 1 t1"]
    assert verdict(lines, account(state="dead", ends=(1,))).clean


def test_a_result_may_be_gone_when_its_time_is_over() -> None:
    assert verdict(GOOD, account(result=None, old=True)).clean


def test_a_job_that_killed_its_workers_too_often_has_ended_a_recorded_way() -> None:
    lines = ["accepted a work -", "start a 1 t1", "start a 2 t2", "start a 3 t3"]
    found = verdict(lines, account(state="dead", attempt=3, crashes=3, ends=(1, 2, 3)))
    assert (found.clean, found.given_up) == (True, 1)


def test_a_step_after_one_that_did_not_succeed_need_not_exist() -> None:
    first = account(state="dead", attempt=3, crashes=3, ends=(1, 2, 3))
    assert verdict(["accepted a work -", "accepted b work a"], first).clean


def test_a_refused_post_promised_nothing() -> None:
    found = verdict([*GOOD, "offered b work -"], account())
    assert (found.clean, found.accepted) == (True, 1)


def test_a_refused_post_whose_row_is_there_counts_like_any_job() -> None:
    found = verdict(GOOD, account(), account("b", state="running"))
    assert found.unfinished == {"b": "is running"}


def test_a_drill_that_posted_nothing_is_not_clean() -> None:
    assert not verdict([]).clean


# --- what is lost ---


@pytest.mark.parametrize(
    ("lines", "accounts", "why"),
    [
        (GOOD, [], "no row"),
        (["offered a work -", "start a 1 t1"], [], "it ran, but it has no row"),
        (GOOD, [account(state="dead", ends=(1,))], "ended dead"),
        (GOOD, [account(state="dead", attempt=2, crashes=2, ends=(1, 2))], "ended dead"),
        (GOOD, [account(state="cancelled", ends=(1,))], "ended cancelled"),
        (GOOD, [account(state="expired", attempt=0)], "ended expired"),
        (["accepted a fail -", *GOOD[2:]], [account()], "ended succeeded"),
        (["accepted a fail -"], [account(state="dead", ends=(1,))], "attempt 1 never failed"),
        (["accepted a fail -", "failed a 1 t1"], [account(state="dead", attempt=2, ends=(1, 2))], "2 never failed"),
        ([*GOOD, "start a 2 t2", "end a 2 t2"], [account(attempt=2)], "2 claims, but 1 recorded ends"),
        (GOOD, [account(result=None)], "its result is not recorded"),
        ([*GOOD, "accepted b work a"], [account()], "no row"),
    ],
)
def test_a_lost_job_is_found(lines: list[str], accounts: list[Account], why: str) -> None:
    found = verdict(lines, *accounts)
    assert not found.clean
    assert len(found.lost) == 1
    assert why in next(iter(found.lost.values()))
    assert str(found).startswith("lost 1, ")


# --- what is doubled ---


@pytest.mark.parametrize(
    ("lines", "row", "why"),
    [
        (GOOD, account(ends=(1,)), "2 recorded ends, but 1 claims"),
        ([*GOOD, "end a 3 t"], account(attempt=3, ends=(1, 1)), "settled twice"),
        ([*GOOD, "start a 1 t1"], account(), "1 claims ran its body more than once"),
        ([*GOOD, "start a 2 t2"], account(), "attempt 2 ran without a claim"),
        (GOOD[:3], account(), "never came to its end"),
        (GOOD, account(attempt=2, ends=(1,)), "its attempt 2 never came to its end"),
        (GOOD[:2], account(), "never came to its end"),
        (GOOD, account(result="FAILURE"), "its result says FAILURE"),
    ],
)
def test_a_doubled_job_is_found(lines: list[str], row: Account, why: str) -> None:
    found = verdict(lines, row)
    assert not found.clean
    assert why in found.doubled["a"]
    assert ", doubled 1, " in str(found)


def test_a_row_that_nobody_offered_is_found() -> None:
    assert "nobody offered" in verdict(GOOD, account(), account("b")).doubled["b"]


# --- what is unfinished ---


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "retrying"])
def test_an_unfinished_job_is_found(state: str) -> None:
    found = verdict(GOOD[:3], account(state=state))
    assert found.unfinished == {"a": f"is {state}"}
    assert str(found) == "lost 0, doubled 0, unfinished 1"
    assert not found.clean
