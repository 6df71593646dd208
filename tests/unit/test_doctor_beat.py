"""What doctor finds about beat and its clock."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.doctor import beat
from jobs.doctor.beat import Facts
from jobs.models import Job, Lease
from jobs.states import State
from tests.support.finding import codes, only
from tests.support.lives import queued

NOW = timezone.now()
HEALTHY = Facts(now=NOW, holder="host:12:abc", until=NOW + timedelta(seconds=9))


def test_a_beat_that_leads_is_fine_and_named() -> None:
    finding = only(beat.findings(HEALTHY))
    assert finding.severity == "fine"
    assert "host:12 leads" in finding.says


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (Facts(now=NOW), "error beat.none"),
        (replace(HEALTHY, until=NOW - timedelta(seconds=30)), "error beat.none"),
        (replace(HEALTHY, overdue=2), "error beat.overdue"),
        (replace(HEALTHY, orphaned=2), "error beat.orphaned"),
    ],
)
def test_each_fault_is_found_alone(facts: Facts, code: str) -> None:
    assert codes(beat.findings(facts)) == [code]


def test_since_when_nobody_leads_is_told() -> None:
    assert "for 30 s" in only(beat.findings(replace(HEALTHY, until=NOW - timedelta(seconds=30)))).says
    assert "for 3 h" in only(beat.findings(replace(HEALTHY, until=NOW - timedelta(seconds=11111)))).says


@pytest.mark.django_db
def test_the_facts_are_what_the_tables_say() -> None:
    now = timezone.now()
    Lease.objects.create(name="beat", holder="host:1:a", until=now)
    for seconds, state, column in (
        (-100, State.RETRYING, "run_at"),
        (-10, State.SCHEDULED, "run_at"),
        (-100, State.QUEUED, "run_at"),
        (-100, State.RUNNING, "lease_until"),
        (-10, State.RUNNING, "lease_until"),
    ):
        Job.objects.filter(id=queued()).update(state=state, **{column: now + timedelta(seconds=seconds)})
    facts = beat.gather()
    assert (facts.holder, facts.until, facts.overdue, facts.orphaned) == ("host:1:a", now, 1, 1)
