"""A worker that was silent, and lost its job, wakes and goes on with the job's canvas: nothing comes of it."""

import os
import signal

from celery import chain, chord

from tests.plain_tasks import add, slow, total
from tests.support.station import Station


def chain_into_a_chord(word: str) -> list[str]:
    """(the slow first step, a member that runs at once, a member that waits where nobody works, the body)."""
    members = [add.si(1, 1), add.si(2, 2).set(queue="heavy")]
    body = chain(slow.si(2, word), chord(members, total.s())).apply_async()
    return [body.parent.parent.id, *(child.id for child in body.parent.children), body.id]


def test_a_late_worker_does_not_begin_a_chord_again(fresh_station: Station) -> None:
    first = fresh_station.worker("default", concurrency=1)
    fresh_station.beat()
    step, quick, waiting, body = fresh_station.call(chain_into_a_chord, "late")
    fresh_station.wait(lambda: "start late" in fresh_station.journal())
    for pid in (first.pid, *first.children()):
        os.kill(pid, signal.SIGSTOP)
    fresh_station.worker("default", concurrency=1)
    fresh_station.wait_state(quick, "succeeded", timeout=60)
    for pid in (*first.children(), first.pid):
        os.kill(pid, signal.SIGCONT)
    fresh_station.wait(lambda: fresh_station.journal().count("end late") == 2)
    fresh_station.wait(lambda: "settled by somebody else" in first.output())
    fresh_station.worker("heavy", concurrency=1)
    fresh_station.wait_ended([step, waiting, body])
    assert fresh_station.value(body) == 6
