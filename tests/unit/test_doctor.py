"""The examination as a whole, and the command."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from dlq import findings as letters
from jobs import checks as system_checks
from jobs.conf import conf
from jobs.doctor import broker, checks, database, examination
from jobs.doctor.finding import About, Finding, Severity
from tests.support.finding import codes

pytestmark = pytest.mark.django_db
SUBJECTS = ["settings", "container", "broker", "database", "workers", "beat", "schedules", "letters"]


def doctor(*args: str) -> tuple[str, str]:
    """What it prints, and the line it refuses with ("" for exit code 0)."""
    out = io.StringIO()
    refused = ""
    try:
        call_command("doctor", *args, stdout=out)
    except CommandError as error:
        refused = str(error)
    return out.getvalue(), refused


@pytest.fixture
def only_broker(monkeypatch: pytest.MonkeyPatch):
    """Sets what the broker's subject says; every other has nothing to say."""

    def choose(*found: Finding) -> None:
        monkeypatch.setattr(examination, "examine", lambda: iter(found))
        monkeypatch.setattr("jobs.management.commands.doctor.examine", lambda: iter(found))

    return choose


def test_every_subject_says_something() -> None:
    found = list(examination.examine())
    assert list(dict.fromkeys(finding.subject for finding in found)) == SUBJECTS
    codes(found)


def test_a_subject_that_fails_keeps_no_other_from_being_examined(monkeypatch) -> None:
    def fails() -> Iterator[Finding]:
        raise ZeroDivisionError("by zero\nindeed")

    monkeypatch.setattr(broker, "examine", fails)
    found = list(examination.examine())
    assert [f.says for f in found if f.code == "broker.failed"] == [
        "It can't be examined: ZeroDivisionError: by zero indeed"
    ]
    assert {finding.subject for finding in found} == set(SUBJECTS)


def test_without_the_database_the_rest_is_examined(monkeypatch) -> None:
    def away(using: str) -> Any:
        raise OperationalError("no answer")

    monkeypatch.setattr(database, "gather", away)
    by_subject = {finding.subject: finding for finding in examination.examine()}
    assert by_subject["database"].code == "database.unreachable"
    assert by_subject["broker"].severity == "fine"
    assert {by_subject[name].code for name in ("workers", "beat", "schedules", "letters")} == {
        f"{name}.unasked" for name in ("workers", "beat", "schedules", "letters")
    }


def test_an_error_makes_the_exit_code_1(only_broker) -> None:
    only_broker(About("broker").error("evicts", "It evicts.", "Mend it."))
    printed, refused = doctor()
    assert printed == "error    broker     It evicts. Mend it.\n"
    assert refused == "1 error, 0 warnings."


def test_warnings_do_not(only_broker) -> None:
    only_broker(*[About("broker").warning("a", "One.", "Do."), About("broker").info("b", "Two."), _fine()])
    printed, refused = doctor()
    assert refused == ""
    assert printed.splitlines()[-1] == "0 errors, 1 warning."
    assert len(printed.splitlines()) == 4


def test_json_has_the_same_findings(only_broker) -> None:
    only_broker(About("broker").error("evicts", "It evicts.", "Mend it."))
    printed, refused = doctor("--json")
    assert refused
    assert json.loads(printed) == {
        "errors": 1,
        "warnings": 0,
        "findings": [
            {
                "severity": "error",
                "subject": "broker",
                "code": "broker.evicts",
                "says": "It evicts.",
                "do": "Mend it.",
            }
        ],
    }


def test_a_line_is_one_line(only_broker) -> None:
    only_broker(About("broker").warning("a", "One\ntwo.", "Three."))
    assert doctor()[0].splitlines()[0].endswith("One two. Three.")


@pytest.mark.parametrize(
    ("opened", "undecodable", "expected"),
    [
        (0, 0, ["fine letters.fine"]),
        (2, 0, ["info letters.open"]),
        (2, 2, ["warning letters.undecodable"]),
        (3, 2, ["warning letters.undecodable", "info letters.open"]),
    ],
)
def test_open_dead_letters_are_told(opened: int, undecodable: int, expected: list[str]) -> None:
    assert codes(letters.findings(opened, undecodable)) == expected


def test_the_alarm_of_an_allowed_unsafe_broker_stays_in_doctor(monkeypatch, bell, settings) -> None:
    for module in (checks, system_checks):
        monkeypatch.setattr(module, "conf", lambda: replace(conf(), allow_unsafe_broker=True))
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "visibility_timeout": 1}
    with bell.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = codes(examination.examine())
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert "error broker.evicts" in found
    assert "error jobs.W005" in found
    assert "warning settings.allow_unsafe_broker" in found
    assert [str(message.id) for message in system_checks.check_broker()] == ["jobs.W005"], "migrate goes on"


def test_a_station_that_may_be_drilled_is_warned_of_in_production_only(settings) -> None:
    settings.JOBS = {**settings.JOBS, "ALLOW_DRILL": True}
    for debug, warned in ((True, False), (False, True)):
        settings.DEBUG = debug
        found = codes(f for f in examination.examine() if f.subject == "settings")
        assert ("warning settings.allow_drill" in found) is warned


def _fine() -> Finding:
    return Finding(Severity.FINE, "broker", "broker.fine", "All is well.")
