"""One beat leads, by the database's clock; when it goes or falls silent the next one does."""

import time

import pytest
from django.db import OperationalError

from jobs.clock.leader import NAME, Leader
from jobs.conf import conf
from jobs.models import Lease
from tests.support.moves import USING, later, together

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_first_that_asks_leads() -> None:
    leader = Leader(USING)
    assert not leader.leads()
    assert leader.lead()
    assert leader.leads()
    assert Lease.objects.get(name=NAME).holder == leader.holder


def test_a_second_one_stands_by() -> None:
    first, second = Leader(USING), Leader(USING)
    assert first.lead()
    assert not second.lead()
    assert not second.leads()
    assert Lease.objects.get().holder == first.holder


def test_of_many_that_ask_at_once_one_leads() -> None:
    leaders = [Leader(USING) for _ in range(6)]
    assert sorted(map(bool, together(*[leader.lead for leader in leaders]))) == [False] * 5 + [True]


def test_the_leader_renews_its_lease() -> None:
    leader = Leader(USING)
    leader.lead()
    before = Lease.objects.get().until
    leader.ask_again = 0
    assert leader.lead()
    assert Lease.objects.get().until > before


def test_the_lead_is_asked_for_a_third_of_the_lease_apart_and_not_at_every_tick() -> None:
    leader = Leader(USING)
    leader.lead()
    Lease.objects.all().delete()
    assert leader.lead()
    assert not Lease.objects.exists()
    assert leader.ask_again - time.monotonic() <= conf().leader_lease / 3


def test_one_that_stands_by_asks_more_often_than_the_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Leader(USING), Leader(USING)
    first.lead()
    second.lead()
    assert second.ask_again - time.monotonic() <= conf().standby_every < conf().leader_lease / 3


def test_one_that_could_not_ask_asks_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    leader = Leader(USING)

    def gone(lease: float) -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr(leader, "_take", gone)
    with pytest.raises(OperationalError):
        leader.lead()
    assert leader.ask_again - time.monotonic() <= conf().standby_every


def test_one_that_resigns_lets_the_next_lead_at_once() -> None:
    first, second = Leader(USING), Leader(USING)
    first.lead()
    second.lead()
    first.resign()
    assert not first.leads()
    second.ask_again = 0
    assert second.lead()


def test_one_that_stands_by_gives_nothing_away() -> None:
    first, second = Leader(USING), Leader(USING)
    first.lead()
    second.resign()
    assert Lease.objects.get().until > later(0)


def test_a_leader_that_fell_silent_is_followed_when_its_lease_has_ended() -> None:
    first, second = Leader(USING), Leader(USING)
    first.lead()
    Lease.objects.update(until=later(-1))
    assert second.lead()
    first.ask_again = 0
    assert not first.lead()


def test_a_leader_never_believes_longer_than_its_lease_says() -> None:
    leader = Leader(USING)
    leader.lead()
    left = (Lease.objects.get().until - later(0)).total_seconds()
    assert leader.leads_until - time.monotonic() <= left + 0.05


def test_a_leader_that_can_not_renew_stops_leading() -> None:
    leader = Leader(USING)
    leader.lead()
    leader.leads_until = time.monotonic() - 0.01
    assert not leader.leads()


def test_each_change_of_the_lead_is_told_once_and_so_is_where_a_beat_starts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="jobs.clock.leader")
    first, second = Leader(USING), Leader(USING)
    for leader in (first, second, first, second):
        leader.ask_again = 0
        leader.lead()
    assert caplog.messages == ["This beat leads", "This beat stands by"]
    first.resign()
    second.ask_again = 0
    second.lead()
    assert caplog.messages[2:] == ["This beat leads"]
