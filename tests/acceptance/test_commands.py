"""The commands as a shell runs them: what they print where, and their exit codes."""

import json

import pytest

from tests.support.station import Station

ADD = "tests.plain_tasks.add"


def test_a_job_is_enqueued_and_waited_for(station: Station) -> None:
    station.worker()
    done = station.manage("enqueue", ADD, "--args", "[1, 2]", "--wait")
    id_, state = done.stdout.split()
    assert (state, station.value(id_)) == ("succeeded", 3)


def test_waiting_for_a_job_that_dies_exits_1(station: Station) -> None:
    station.worker()
    done = station.manage("enqueue", "tests.plain_tasks.fail", "--count", "2", "--wait", check=False)
    assert (done.returncode, done.stdout.count("dead")) == (1, 2)
    assert "2 of 2 ended badly: dead." in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["enqueue", "no.such"], 1),
        (["jobs", "show", "nothing"], 1),
        (["queues", "pause", "nowhere"], 1),
        (["dead_letters", "discard", "4711"], 1),
        (["enqueue"], 2),
        (["enqueue", ADD, "--args", "{"], 2),
        (["jobs"], 2),
        (["create_token", "x"], 2),
    ],
)
@pytest.mark.databases("sqlite")
def test_a_refusal_is_1_and_a_wrong_usage_2(station: Station, command: list[str], code: int) -> None:
    done = station.manage(*command, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 if code == 1 else "error:" in lines[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.databases("sqlite")
def test_listings_are_json_and_a_token_stands_alone(station: Station) -> None:
    for listing in (["jobs", "list"], ["queues", "list"], ["schedules", "list"], ["dead_letters", "list"]):
        assert isinstance(json.loads(station.manage(*listing, "--json").stdout), list)
    token = station.manage("create_token", "alone", "--scope", "view").stdout
    assert len(token.split()) == 1
