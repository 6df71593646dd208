"""The web server around the API: its connections and its log."""

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.support.station import Station

pytestmark = pytest.mark.databases("sqlite")

ADD = "/tasks/tests.plain_tasks.add"
MIB = 1024 * 1024


@pytest.mark.parametrize(("token", "size", "status"), [("admin", 2 * MIB, 413), (None, MIB // 2, 401)])
def test_a_refusal_that_leaves_the_body_unread_closes_the_connection(
    station: Station, token: str | None, size: int, status: int
) -> None:
    station.web()
    assert _posted(station, b'"' + b"x" * size + b'"', token) == (status, "close")


def test_one_client_is_refused_as_often_as_it_asks(station: Station) -> None:
    station.web()
    headers = {"Authorization": f"Bearer {station.token()}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{station.port}", headers=headers, timeout=20) as client:
        answers = [client.post(ADD, content=b"x" * 2 * MIB).status_code for _ in range(30)]
        assert client.get("/healthz").status_code == 200
    assert answers == [413] * 30


def test_a_body_without_a_length_closes_the_connection(station: Station) -> None:
    station.web()
    assert _posted(station, iter([b"{}"]), "admin") == (411, "close")


def test_ordinary_requests_keep_their_connection(station: Station) -> None:
    station.web()
    assert _posted(station, b'{"args": [1, 2]}', "admin") == (202, "keep-alive")


def test_the_web_logs_json_only(fresh_station: Station) -> None:
    web = fresh_station.web()
    web.signal(signal.SIGTERM)
    assert web.popen.wait(40) == 0
    lines = [json.loads(line) for line in web.output().splitlines()]
    said = [line["message"] for line in lines if line["logger"] == "gunicorn.error"]
    assert any(message.startswith("Booting worker") for message in said), said
    assert all({"time", "level", "pid"} <= line.keys() for line in lines)


def test_the_level_of_the_logs_is_that_of_gunicorn_too(fresh_station: Station) -> None:
    fresh_station.env["LOG_LEVEL"] = "ERROR"
    assert fresh_station.web().output() == ""


def _posted(station: Station, body: bytes | Iterator[bytes], token: str | None) -> tuple[int, str | None]:
    """The answer's status and its header Connection. The standard library's client sends all and hides no header."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {station.token(token)}"
    with closing(http.client.HTTPConnection("127.0.0.1", station.port, timeout=20)) as connection:
        connection.request("POST", ADD, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Connection")
