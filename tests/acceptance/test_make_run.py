"""`make run` and its end, as a person at a terminal meets them."""

import signal
import socket
import sys
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.support.making import Made
from tests.support.processes import free_port, kill
from tests.support.waiting import wait_for

PASSWORD = r"Sign in +admin / (\S+)"
TOKEN = r"API token +(\S+)"


@pytest.fixture(scope="module")
def shared() -> Iterator[Made]:
    """One running station for the tests that leave it running."""
    made = Made()
    yield made.start()
    made.remove()


@pytest.fixture
def made() -> Iterator[Made]:
    """A data directory of the test's own; nothing runs yet."""
    made = Made()
    yield made
    made.remove()


def test_the_console_lets_the_printed_admin_in(shared: Made) -> None:
    with httpx.Client(base_url=shared.url, follow_redirects=True, timeout=20) as browser:
        page = browser.get("/")
        assert page.url.path == "/admin/login/"
        form = {
            "username": "admin",
            "password": shared.said(PASSWORD),
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            "next": "/admin/",
        }
        answer = browser.post("/admin/login/", data=form)
    assert answer.url.path == "/admin/"
    assert answer.status_code == 200


def test_the_printed_token_posts_a_job_that_runs(shared: Made) -> None:
    token = shared.said(TOKEN)
    mail = {"to": "ann@example.com", "subject": "Hello", "body": "It works."}
    job = shared.ended(shared.post("/tasks/email", mail, token), token)
    assert job["state"] == "succeeded", job
    assert job["result"] == {**job["result"], "status": "sent", "to": "ann@example.com"}


def test_every_queue_has_a_worker(shared: Made) -> None:
    token = shared.said(TOKEN)
    for queue in ("emails", "heavy", "payments", "default"):
        body = {"args": [1, 2], "queue": queue}
        job = shared.ended(shared.post("/tasks/tests.plain_tasks.add", body, token), token)
        assert (job["state"], job["result"]) == ("succeeded", 3), job
        assert job["worker"].startswith(f"{queue}@")


def test_a_picture_is_there_to_be_processed(shared: Made) -> None:
    token = shared.said(TOKEN)
    body = {"path": "/uploads/photo.jpg", "operations": ["thumbnail"]}
    job = shared.ended(shared.post("/tasks/process-image", body, token), token)
    assert job["state"] == "succeeded", job


def test_a_second_start_says_where_the_first_runs(shared: Made) -> None:
    refused = shared.start_in_vain()
    assert refused.returncode != 0
    assert f"already runs as process {shared.supervisor} at {shared.url}/" in refused.stderr
    assert httpx.get(f"{shared.url}/healthz", timeout=20).status_code == 200


def test_a_command_beside_it_needs_no_more_environment(shared: Made) -> None:
    done = shared.manage("enqueue", "tests.plain_tasks.add", "--args", "[20, 22]", "--wait")
    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stdout


@pytest.mark.parametrize("words", ["worker -Q emails", "-A config --quiet beat", "gunicorn", "valkey-server"])
def test_what_dies_is_started_again(shared: Made, words: str) -> None:
    before = shared.running(words)
    kill(before)
    wait_for(lambda: not psutil.pid_exists(before), what="the killed process to be gone")
    after = wait_for(lambda: _another(shared, words, before), 40, f"another {words}")
    assert after != before
    token = shared.said(TOKEN)
    wait_for(lambda: _answers(shared), 40, "the web to answer")
    id = shared.post("/tasks/tests.plain_tasks.add", {"args": [1, 2], "queue": "emails"}, token)
    assert wait_for(lambda: shared.ended(id, token)["state"] == "succeeded", 60, "a job to succeed")


@pytest.mark.skipif(sys.platform == "darwin", reason="only 127.0.0.1 is bound there")
def test_at_another_address_the_console_answers_and_tasks_reach_the_sandbox() -> None:
    made = Made(HOST="127.0.0.2", OUTBOUND_ALLOWED_HOSTS="crm.internal")
    try:
        token = made.start().said(TOKEN)
        assert f"http://127.0.0.2:{made.port}/" in made.output()
        job = made.ended(
            made.post("/tasks/email", {"to": "ann@example.com", "subject": "s", "body": "b"}, token), token
        )
        assert job["state"] == "succeeded", job
    finally:
        made.remove()


def test_a_setting_that_is_refused_is_one_clear_sentence(made: Made) -> None:
    made.environment["JOBS_QUEUES"] = "reports:many"
    refused = made.start_in_vain()
    assert refused.returncode != 0
    assert "JOBS_QUEUES: 'reports:many' is not name:concurrency" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_busy_port_is_one_clear_sentence(made: Made) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as busy:
        port = busy.getsockname()[1]
        refused = made.start_in_vain(f"PORT={port}")
    assert refused.returncode != 0
    assert f"Port {port} on 127.0.0.1 is in use by another program." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert made.pids() == []


def test_ctrl_c_waits_for_what_can_finish_hands_back_the_rest_and_leaves_nothing(made: Made) -> None:
    made.start()
    token = made.said(TOKEN)
    stray = made.ended(made.post("/tasks/tests.support.detaching.detach", {}, token), token)["result"]
    assert psutil.pid_exists(stray)
    for seconds in (4, 100):
        made.post("/tasks/tests.plain_tasks.slow", {"args": [seconds]}, token)
    wait_for(lambda: [job["state"] for job in made.jobs("tests.plain_tasks.slow")] == ["running"] * 2, what="both run")

    assert made.press_ctrl_c() < 30

    assert made.pids() == []
    assert not psutil.pid_exists(stray)
    assert [(job["state"], job["attempt"]) for job in made.jobs("tests.plain_tasks.slow")] == [
        ("succeeded", 1),
        ("queued", 0),
    ]


def test_sigterm_ends_it_as_well(made: Made) -> None:
    made.start()
    assert made.process is not None
    supervisor = made.supervisor
    made.process.signal(signal.SIGTERM)
    wait_for(lambda: not psutil.pid_exists(supervisor), 30, "the supervisor to end")
    assert made.pids() == []


def test_after_a_killed_supervisor_the_next_start_cleans_up_and_works(made: Made) -> None:
    made.start()
    token = made.said(TOKEN)
    kill(made.supervisor)
    assert made.process is not None
    made.process.popen.wait(10)
    orphans = set(made.pids())
    assert made.running("valkey-server") in orphans
    made.start()
    assert not orphans & set(made.pids())
    assert "API token" not in made.output(), "secrets are shown once"
    assert "password as before" in made.output()
    id = made.post("/tasks/tests.plain_tasks.add", {"args": [1, 2]}, token)
    assert made.ended(id, token)["result"] == 3
    made.press_ctrl_c()
    assert made.pids() == []


def _another(made: Made, words: str, before: int) -> int | None:
    try:
        found = made.running(words)
    except AssertionError:
        return None
    return found if found != before else None


def _answers(made: Made) -> bool:
    try:
        return httpx.get(f"{made.url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
