"""What doctor finds in the database."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from jobs.doctor import database
from jobs.doctor.database import Facts
from tests.support.finding import codes, only

POSTGRES = Facts(
    vendor="postgresql",
    debug=False,
    settings={
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_connections": "100",
        "superuser_reserved_connections": "3",
        "transaction_isolation": "read committed",
        "transaction_read_only": "off",
        "idle_in_transaction_session_timeout": "1min",
    },
    connected=70,
    wanted=97,
)
SQLITE = Facts(vendor="sqlite", debug=True, settings={"journal_mode": "wal", "synchronous": "1"})


def with_settings(facts: Facts, **changed: str) -> list[str]:
    return codes(database.findings(replace(facts, settings={**facts.settings, **changed})))


def test_healthy_databases_are_fine() -> None:
    assert codes(database.findings(POSTGRES)) == ["fine database.fine"]
    assert codes(database.findings(SQLITE)) == ["fine database.fine"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"fsync": "off"}, "error database.fsync"),
        ({"synchronous_commit": "off"}, "error database.synchronous_commit"),
        ({"full_page_writes": "off"}, "warning database.full_page_writes"),
        ({"transaction_read_only": "on"}, "error database.read_only"),
        ({"idle_in_transaction_session_timeout": "0"}, "warning database.idle_in_transaction"),
        ({"transaction_isolation": "serializable"}, "warning database.isolation"),
        ({"superuser_reserved_connections": "4"}, "warning database.connections"),
    ],
)
def test_each_unsafe_setting_of_postgresql_is_found_alone(changed: dict[str, str], code: str) -> None:
    assert with_settings(POSTGRES, **changed) == [code]


def test_behind_a_pooler_more_may_be_wanted_than_postgresql_has() -> None:
    """As many clients as they like: what counts there is what the pooler opens."""
    pooled = replace(POSTGRES, wanted=1000, pooled=True)
    assert codes(database.findings(pooled)) == ["fine database.fine"]
    [full] = database.findings(replace(pooled, connected=78))
    assert (full.code, "put PgBouncer" in full.do) == ("database.connected", False)


def test_a_commit_that_waits_for_less_than_a_replica_is_safe_enough() -> None:
    for value in ("local", "remote_write", "remote_apply"):
        assert with_settings(POSTGRES, synchronous_commit=value) == ["fine database.fine"]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(POSTGRES, connected=78), "warning database.connected"),
        (replace(SQLITE, debug=False), "warning database.sqlite"),
        (replace(SQLITE, settings={"journal_mode": "delete", "synchronous": "2"}), "warning database.journal"),
        (replace(SQLITE, settings={"journal_mode": "wal", "synchronous": "0"}), "error database.synchronous"),
        (replace(SQLITE, unapplied=("jobs.0003_faults",)), "error database.migrations"),
        (replace(SQLITE, skew=1.1), "warning database.skew"),
        (replace(SQLITE, skew=-1.1), "warning database.skew"),
        (replace(SQLITE, skew=10.1), "error database.skew"),
    ],
)
def test_each_other_fault_is_found_alone(facts: Facts, code: str) -> None:
    assert codes(database.findings(facts)) == [code]


def test_a_clock_within_a_second_is_right() -> None:
    assert codes(database.findings(replace(SQLITE, skew=0.9))) == ["fine database.fine"]


def test_a_skew_says_which_way() -> None:
    assert "behind" in only(database.findings(replace(SQLITE, skew=5))).says
    assert "ahead of" in only(database.findings(replace(SQLITE, skew=-5))).says


@pytest.mark.django_db
def test_a_real_database_says_what_is_asked_of_it() -> None:
    facts = database.gather("default")
    assert facts.unapplied == ()
    assert abs(facts.skew) < 1
    expected = POSTGRES if facts.vendor == "postgresql" else SQLITE
    assert facts.settings.keys() == expected.settings.keys()
    assert facts.wanted > 0
    assert facts.pooled is False


def test_a_database_that_is_away_is_an_error_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(using: str) -> Any:
        raise OperationalError('connection to server at "db" failed\nIs the server running?')

    monkeypatch.setattr(database, "gather", away)
    finding = only(database.examine())
    assert codes([finding]) == ["error database.unreachable"]
    assert "Is the server running" not in finding.says
