"""Settings as another environment makes them, and refusals in one sentence."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.environment import environment
from tests.support.processes import ROOT

READ = """
import json
from django.conf import settings
names = ("ALLOWED_HOSTS", "OUTBOUND_ALLOWED_HOSTS", "SANDBOX_URL", "MAIL_API_URL", "HEALTH_CHECK_URLS")
print(json.dumps({name: getattr(settings, name) for name in names}))
"""
LOCAL = ["localhost", "127.0.0.1", "[::1]"]


def _read(data: Path, **more: str) -> dict[str, Any]:
    done = _run(data, [sys.executable, "-c", READ], **more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _run(data: Path, command: list[str], **more: str) -> "subprocess.CompletedProcess[str]":
    env = environment(data, f"sqlite:///{data / 'x.sqlite3'}", "redis://127.0.0.1:1/0", PORT="8123", **more)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("host", "url_host"), [("127.0.0.2", "127.0.0.2"), ("laptop.lan", "laptop.lan"), ("fe80::1", "[fe80::1]")]
)
def test_a_development_station_is_reached_and_reaches_itself_at_its_host(
    tmp_path: Path, host: str, url_host: str
) -> None:
    read = _read(tmp_path, HOST=host)
    assert set(read["ALLOWED_HOSTS"]) == {*LOCAL, url_host}
    assert read["OUTBOUND_ALLOWED_HOSTS"] == [url_host]
    assert read["SANDBOX_URL"] == f"http://{url_host}:8123/sandbox"
    assert read["MAIL_API_URL"] == f"http://{url_host}:8123/sandbox/mail"
    assert read["HEALTH_CHECK_URLS"] == [f"http://{url_host}:8123/healthz"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_bound_to_every_address_it_is_called_by_any_name(tmp_path: Path, host: str) -> None:
    read = _read(tmp_path, HOST=host)
    assert "*" in read["ALLOWED_HOSTS"]
    assert read["SANDBOX_URL"] == "http://127.0.0.1:8123/sandbox"
    assert read["OUTBOUND_ALLOWED_HOSTS"] == ["127.0.0.1"]


def test_hosts_that_are_set_do_not_take_the_sandbox_away(tmp_path: Path) -> None:
    hosts = {"OUTBOUND_ALLOWED_HOSTS": "crm.internal", "ALLOWED_HOSTS": "jobs.example.com"}
    read = _read(tmp_path, **hosts)
    assert read["OUTBOUND_ALLOWED_HOSTS"] == ["crm.internal", "127.0.0.1"]
    assert read["ALLOWED_HOSTS"] == ["jobs.example.com", "127.0.0.1"]


def test_in_production_only_what_is_set_is_reached(tmp_path: Path) -> None:
    read = _read(tmp_path, DEBUG="0", HOST="0.0.0.0", ALLOWED_HOSTS="jobs.example.com")
    assert (read["ALLOWED_HOSTS"], read["OUTBOUND_ALLOWED_HOSTS"]) == (["jobs.example.com"], [])


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/1"}, "Unset CELERY_RESULT_BACKEND: "),
        ({"DEBUG": "0", "SECRET_KEY": ""}, "Set SECRET_KEY "),
        ({"JOBS_QUEUES": "reports:many"}, "JOBS_QUEUES: 'reports:many' is not "),
    ],
)
@pytest.mark.parametrize("command", ["run", "migrate", "queues"])
def test_a_setting_is_refused_in_one_sentence(
    tmp_path: Path, environ: dict[str, str], sentence: str, command: str
) -> None:
    done = _run(tmp_path, [sys.executable, "manage.py", command], **environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
