"""The epoch: Redis that lost its memory, all or the end of it, is noticed, and everything that waits is rung again."""

import pytest

from jobs import broker, lifecycle
from jobs.api.metrics import _lease_ages
from jobs.clock.epoch import NAME, Epoch, following, is_at_least
from jobs.clock.leader import Leader
from jobs.conf import conf
from jobs.ledger.publish import collecting
from jobs.models import Job, Lease
from tests.support.moves import USING, later, queued, row, rung, running
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


def keep(epoch: Epoch) -> list[int]:
    """One turn: how many were rung, by round."""
    return list(epoch.keep(USING))


def known() -> Epoch:
    """Of a leader that has been there for a while."""
    epoch = Epoch()
    keep(epoch)
    return epoch


def test_the_first_leader_leaves_a_mark_and_rings_nobody(bell: ValkeyServer) -> None:
    job_id = queued()
    epoch = Epoch()
    assert keep(epoch) == []
    assert broker.epoch() == epoch.mark == Lease.objects.get(name=NAME).holder
    assert rung(bell) == [job_id]


def test_a_redis_that_remembers_is_left_alone(bell: ValkeyServer) -> None:
    epoch = known()
    ids = [queued() for _ in range(3)]
    assert [keep(epoch) for _ in range(5)] == [[]] * 5
    assert rung(bell) == ids


def test_a_redis_that_forgot_is_rung_at_once_oldest_first(bell: ValkeyServer) -> None:
    epoch = known()
    ids = [queued() for _ in range(5)]
    heavy = queued(queue="heavy")
    bell.flushall()
    assert keep(epoch) == [6]
    assert (rung(bell), rung(bell, "heavy")) == (ids, [heavy])
    assert row(heavy).rung_at > later(-10)
    assert keep(epoch) == []


def test_a_mark_that_was_evicted_is_a_redis_that_forgot(bell: ValkeyServer) -> None:
    epoch = known()
    job_id = queued()
    broker.client().delete(broker.EPOCH)
    assert keep(epoch) == [1]
    assert rung(bell) == [job_id, job_id]


def test_an_older_copy_of_redis_is_told_from_this_one(bell: ValkeyServer) -> None:
    """A snapshot, or a replica that was behind: it has a mark, but not the last one."""
    epoch = known()
    before = broker.epoch()
    job_id = queued()
    epoch.move_on = 0
    assert keep(epoch) == []
    bell.flushall()
    assert broker.set_epoch(None, str(before))
    assert keep(epoch) == [1]
    assert rung(bell) == [job_id]


def test_however_many_wait_they_are_rung_in_rounds(bell: ValkeyServer) -> None:
    epoch = known()
    with collecting():
        ids = [queued() for _ in range(conf().batch * 2 + 3)]
    bell.flushall()
    assert keep(epoch) == [conf().batch, conf().batch, 3]
    assert rung(bell) == ids


def test_who_is_stopped_in_the_middle_goes_on_where_it_was(bell: ValkeyServer) -> None:
    epoch = known()
    with collecting():
        ids = [queued() for _ in range(conf().batch + 3)]
    bell.flushall()
    next(iter(epoch.keep(USING)))
    assert keep(epoch) == [3]
    assert rung(bell) == ids


def test_the_next_leader_rings_what_the_last_one_could_not(bell: ValkeyServer) -> None:
    epoch = known()
    with collecting():
        ids = [queued() for _ in range(conf().batch + 3)]
    bell.flushall()
    next(iter(epoch.keep(USING)))
    assert keep(Epoch()) == [3]
    assert rung(bell) == ids


def test_the_next_leader_rings_nobody_when_all_is_well(bell: ValkeyServer) -> None:
    known()
    job_id = queued()
    assert keep(known()) == []
    assert rung(bell) == [job_id]


def test_a_loss_between_two_leaders_is_seen(bell: ValkeyServer) -> None:
    known()
    job_id = queued()
    bell.flushall()
    assert keep(Epoch()) == [1]
    assert rung(bell) == [job_id]


def test_a_second_loss_while_the_first_is_mended_is_a_loss_too(bell: ValkeyServer) -> None:
    epoch = known()
    with collecting():
        ids = [queued() for _ in range(conf().batch + 3)]
    bell.flushall()
    next(iter(epoch.keep(USING)))
    bell.flushall()
    assert keep(epoch) == [conf().batch, 3]
    assert rung(bell) == ids


def test_one_that_was_frozen_while_another_led_rings_nobody(bell: ValkeyServer) -> None:
    frozen = known()
    awake = known()
    awake.move_on = 0
    job_id = queued()
    assert (keep(awake), keep(frozen), keep(awake)) == ([], [], [])
    assert rung(bell) == [job_id]


def test_a_leader_that_died_before_it_wrote_its_mark_down_caused_no_loss(bell: ValkeyServer) -> None:
    epoch = known()
    job_id = queued()
    assert broker.set_epoch(epoch.mark, following(str(epoch.mark)))
    assert keep(Epoch()) == []
    assert broker.epoch() == Lease.objects.get(name=NAME).holder
    assert rung(bell) == [job_id]


def test_a_leader_that_died_when_it_had_just_seen_a_loss_hides_none(bell: ValkeyServer) -> None:
    known()
    job_id = queued()
    bell.flushall()
    assert broker.set_epoch(None, "another:0")
    assert keep(Epoch()) == [1]
    assert rung(bell) == [job_id]


def test_a_mark_that_somebody_else_changed_is_not_overwritten() -> None:
    epoch = known()
    assert not broker.set_epoch("what it was before", "mine:0")
    assert not broker.set_epoch(None, "mine:0")
    assert broker.epoch() == epoch.mark


def test_what_runs_is_held_or_has_ended_is_not_rung(bell: ValkeyServer) -> None:
    epoch = known()
    running()
    queued(countdown=60)
    queued(queue="heavy")
    lifecycle.pause("heavy", by="ada", using=USING)
    bell.flushall()
    assert keep(epoch) == []
    assert (rung(bell), rung(bell, "heavy")) == ([], [])


@pytest.mark.parametrize("trouble", ["stop", "pause"], ids=["dead", "silent"])
def test_a_redis_that_is_gone_is_asked_again_when_the_breaker_allows(trouble: str, bell: ValkeyServer) -> None:
    epoch = known()
    job_id = queued()
    getattr(bell, trouble)()
    assert keep(epoch) == []
    assert broker.breaker.open()
    bell.resume()
    bell.start()
    bell.flushall()
    broker.breaker.closed_again = 0
    assert keep(epoch) == [1]
    assert rung(bell) == [job_id]


def test_the_mark_moves_on_every_few_seconds() -> None:
    epoch = known()
    marks = {epoch.mark}
    for _ in range(3):
        keep(epoch)
        marks.add(epoch.mark)
    assert len(marks) == 1
    epoch.move_on = 0
    keep(epoch)
    assert is_at_least(str(epoch.mark), marks.pop() or "")
    assert not Job.objects.exists()


@pytest.mark.parametrize("mark", ["", "x", "a:", "a:b", "b:9", "a:1"])
def test_only_a_later_step_of_the_same_mark_is_later(mark: str) -> None:
    assert not is_at_least(mark, "a:2")
    assert is_at_least("a:2", "a:2")
    assert is_at_least("a:10", "a:2")


def test_the_epochs_row_is_no_lease_that_metrics_watch() -> None:
    known()
    assert Leader(USING).lead()
    [(labels, age)] = _lease_ages()
    assert labels == {"lease": "beat"}
    assert 0 <= age < conf().leader_lease
