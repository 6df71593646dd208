"""The life of a job: enqueued, run, failed, retried, dead, requeued, succeeded."""

import pytest

from tests import plain_tasks
from tests.support import calls, people
from tests.support.station import Station


@pytest.fixture(scope="module")
def running(station: Station) -> Station:
    """A station with one worker and beat."""
    station.worker("default", concurrency=2)
    station.beat()
    return station


def test_a_job_fails_retries_dies_is_requeued_and_succeeds(running: Station) -> None:
    id = running.post(plain_tasks.mendable, "pump", 7)
    dead = running.wait_state(id, "dead")
    assert (dead["error"], dead["message"]) == ("ConnectionError", "pump is broken")
    assert (dead["attempt"], dead["retries"], dead["crashes"]) == (2, 1, 0)
    assert [row["outcome"] for row in running.attempts(id)] == ["retried", "failed"]
    assert "pump is broken" in running.attempts(id)[1]["traceback"]
    [letter] = running.letters(id)
    assert (letter["reason"], letter["status"], letter["attempts"]) == ("exhausted", "open", 2)
    assert running.result(id)["status"] == "FAILURE"

    running.write("mended pump")
    assert running.call(people.requeue, id) == [id]
    done = running.wait_state(id, "succeeded")
    assert (done["attempt"], done["error"]) == (3, "")
    assert running.get(id) == 7
    assert running.letters(id)[0]["status"] == "requeued"
    assert running.journal().count("try pump") == 3


def test_a_job_that_dies_again_files_a_second_letter_linked_to_the_first(running: Station) -> None:
    id = running.post(plain_tasks.breakable, "valve")
    running.wait_state(id, "dead")
    running.call(people.requeue, id)
    running.wait(lambda: len(running.letters(id)) == 2, what="a second letter")
    first, second = running.letters(id)
    assert (first["status"], second["status"]) == ("requeued", "open")
    assert second["previous_id"] == first["id"]


def test_a_first_try_success_leaves_no_attempt_and_no_letter(running: Station) -> None:
    id = running.post(plain_tasks.add, 2, 3)
    done = running.wait_state(id, "succeeded")
    assert running.value(id) == 5
    assert done["attempt"] == 1
    assert running.attempts(id) == running.letters(id) == []
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert done["token"] is None


def test_an_error_without_a_retry_asked_is_not_retried(running: Station) -> None:
    id = running.post(plain_tasks.fail, "broken for good")
    assert running.wait_state(id, "dead")["attempt"] == 1
    [letter] = running.letters(id)
    assert (letter["reason"], letter["error"], letter["message"]) == ("not_retryable", "ValueError", "broken for good")
    assert "plain_tasks" in letter["traceback"]


@pytest.mark.parametrize(
    "text", ["nul \x00 nul", "half a pair \udc80", "Ærø 🚂", "x" * 100_000], ids=["nul", "surrogate", "emoji", "long"]
)
def test_an_error_with_awkward_words_is_a_death_like_any_other(running: Station, text: str) -> None:
    id = running.post(plain_tasks.fail, text)
    running.wait_state(id, "dead")
    assert len(running.letters(id)) == len(running.attempts(id)) == 1
    assert running.result(id)["status"] == "FAILURE"


def test_a_job_over_its_hard_limit_dies_timed_out(running: Station) -> None:
    id = running.post(plain_tasks.endless)
    running.wait_state(id, "dead")
    assert running.letters(id)[0]["reason"] == "timed_out"
    assert running.attempts(id)[0]["outcome"] == "timed_out"
    assert running.journal().count("endless") == 1


def test_a_job_over_its_soft_limit_dies_of_the_error_that_celery_raises(running: Station) -> None:
    id = running.post(plain_tasks.long_winded)
    assert running.wait_state(id, "dead")["error"] == "SoftTimeLimitExceeded"


def test_a_result_that_json_cannot_hold_is_a_death_that_says_so(running: Station) -> None:
    id = running.post(plain_tasks.unstorable)
    dead = running.wait_state(id, "dead")
    assert "serializable" in dead["message"] or "JSON" in dead["message"]


def test_a_job_that_ignores_itself_succeeds_without_a_result(running: Station) -> None:
    id = running.post(plain_tasks.ignoring, "ignored")
    running.wait_state(id, "succeeded")
    assert running.journal().count("ignored") == 1


def test_a_rejected_job_goes_back_to_its_queue_and_keeps_its_attempt(running: Station) -> None:
    id = running.post(plain_tasks.rejecting, "rejected", 2)
    done = running.wait_state(id, "succeeded")
    assert running.value(id) == 3
    assert done["attempt"] == 1


def test_a_job_rejected_without_requeue_dies(running: Station) -> None:
    id = running.post(plain_tasks.refusing)
    running.wait_state(id, "dead")
    assert running.letters(id)[0]["reason"] == "not_retryable"


def test_a_replaced_job_ends_with_the_result_of_what_replaced_it(running: Station) -> None:
    id = running.post(plain_tasks.replaced, 41)
    running.wait_state(id, "succeeded")
    assert running.get(id) == 42
    assert running.journal().count(f"replaced {id}") == 1


def test_a_task_class_of_ones_own_keeps_its_hooks(running: Station) -> None:
    good, bad = running.post(plain_tasks.logged, "fine"), running.post(plain_tasks.logged, "fail")
    running.wait_ended([good, bad])
    assert [row["state"] for row in running.jobs([good, bad])] == ["succeeded", "dead"]
    running.wait(lambda: {f"success {good}", f"failure {bad}"} <= set(running.journal()))


def test_progress_told_by_update_state_is_seen_while_the_job_runs(running: Station) -> None:
    id = running.post(plain_tasks.counting, 20)
    running.wait(lambda: running.result(id).get("status") == "PROGRESS")
    assert running.job(id)["state"] == "running"
    running.wait_state(id, "succeeded")
    assert running.call(calls.status, id) == "SUCCESS"
