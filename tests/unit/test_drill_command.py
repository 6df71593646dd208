"""`manage.py drill` before it begins, and what it tells; tests/faults/test_random.py lets it break things."""

import io
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder

from jobs.drill import journal, report, sockets
from jobs.drill.books import Books
from jobs.drill.drill import Outcome
from jobs.drill.faults import FAULTS
from jobs.drill.journal import Journal
from jobs.drill.stream import KINDS, Post, Stream
from jobs.drill.verdict import Account, judge
from jobs.management.commands.drill import Command
from jobs.models import Job
from jobs.queues import declared
from jobs.states import State
from jobs.supervisor import parts
from jobs.supervisor.lock import only_one
from tests.support.moves import later, queued


def refused(*args: str) -> str:
    """The line of a refusal."""
    with pytest.raises(CommandError) as error:
        call_command("drill", *args, stdout=io.StringIO(), stderr=io.StringIO())
    assert error.value.returncode == 1
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.JOBS, "ALLOW_DRILL", True)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handlers of a command are not for the test run's own process."""
    monkeypatch.setattr("signal.signal", lambda number, handler: None)


# --- refusals ---


def test_where_it_is_not_allowed_it_says_what_to_set() -> None:
    assert "JOBS_ALLOW_DRILL=1" in refused("--yes")


@pytest.mark.django_db
def test_another_word_than_the_one_to_type_does_nothing(allowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert "Nothing was done: you typed 'yes', not 'break'" in refused()


@pytest.mark.django_db
def test_nobody_at_the_keyboard_is_no_yes(allowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "use --yes" in refused()


@pytest.mark.django_db
def test_old_tables_are_refused(allowed: None) -> None:
    MigrationRecorder.Migration.objects.filter(app="jobs").order_by("-id")[0].delete()
    assert "misses 1 migrations. Run: manage.py migrate" in refused("--yes")


@pytest.mark.django_db
def test_a_redis_that_does_not_answer_is_refused(allowed: None, signals: None, bell: Any) -> None:
    bell.stop()
    assert "The Redis of REDIS_URL does not answer" in refused("--yes")


@pytest.mark.django_db
def test_an_unknown_fault_is_refused_with_the_known_ones(allowed: None, signals: None) -> None:
    said = refused("--yes", "--fault", "meteorite")
    assert "No fault is called 'meteorite' here" in said
    assert "worker killed" in said


@pytest.mark.django_db
def test_a_second_drill_beside_the_first_is_refused(allowed: None, signals: None) -> None:
    with only_one(journal.directory(), "a drill"):
        assert f"A drill already runs as process {os.getpid()}" in refused("--yes")


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "86401"])
def test_seconds_that_can_not_be_are_wrong_usage(seconds: str) -> None:
    with pytest.raises(CommandError, match="a whole number from 1 to 86,400"):
        call_command("drill", "--seconds", seconds)


# --- what it is made of ---


def test_its_queue_is_declared_where_it_is_allowed_and_served_by_nobody_else(allowed: None) -> None:
    declared.cache_clear()
    try:
        assert "drill" in declared()
        assert "worker-drill" not in [worker.name for worker in parts.workers()]
    finally:
        declared.cache_clear()


def test_elsewhere_its_queue_is_not_known() -> None:
    declared.cache_clear()
    assert "drill" not in declared()


def test_every_fault_has_a_name_of_its_own_that_the_journal_can_hold() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert not any("_" in name for name in names)


def test_the_same_seed_draws_the_same_jobs(tmp_path: Path) -> None:
    first, second, other = (Stream("run", Journal(tmp_path / "j"), seed) for seed in (1, 1, 2))
    drawn = [[stream.draw().jobs for _ in range(50)] for stream in (first, second, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert {len(jobs) for jobs in drawn[0]} == {1, 3, 4}
    assert len(KINDS) == 7


def test_the_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    told = Journal(tmp_path / "journal")
    told.write("start", "a", 1, "t")
    told.write("end", "a", 1, "t")
    assert [(entry.event, entry.words) for entry in told.entries()] == [
        ("start", ("a", "1", "t")),
        ("end", ("a", "1", "t")),
    ]


def test_a_run_can_not_be_named_out_of_its_directory() -> None:
    assert journal.of("../../etc/passwd").path == journal.directory() / "passwd" / "journal"


@pytest.mark.skipif(not sockets.known(), reason="Linux tells the addresses of a process")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_addresses_of_a_process_are_those_the_server_sees(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server, socket.socket(family) as caller:
        caller.connect(server.getsockname())
        accepted, seen = server.accept()
        accepted.close()
        assert (f"[{host}]:{seen[1]}" if ":" in host else f"{host}:{seen[1]}") in sockets.addresses([os.getpid()])
        assert sockets.addresses([]) == set()


def test_a_stream_that_ends_by_itself_is_no_quiet_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream("run", Journal(tmp_path / "j"), 1)
    monkeypatch.setattr(stream, "draw", lambda: Post((("a", "work", ()),), lambda: 1 / 0))
    stream.start()
    stream.join(20)
    assert [type(error) for error in stream.trouble] == [ZeroDivisionError]
    assert stream.accepted == []


@pytest.mark.django_db
def test_a_drill_without_a_fault_proves_nothing(tmp_path: Path) -> None:
    id = "run.a"
    outcome = _outcome(
        tmp_path, f"1 offered {id} work -", f"2 accepted {id} work -", f"3 start {id} 1 t", f"4 end {id} 1 t"
    )
    row = Account(id, "succeeded", 1, 0, result="SUCCESS")
    good = replace(outcome, verdict=judge(outcome.entries, [row], 3))
    assert good.verdict.clean
    with pytest.raises(CommandError, match="no fault was made"):
        Command(stdout=io.StringIO())._tell(good, as_json=False)


@pytest.mark.django_db
def test_results_past_their_time_are_not_missed(settings: Any) -> None:
    settings.CELERY_RESULT_EXPIRES = 3600
    ids = [queued(task_id=f"run.{name}") for name in "ab"]
    for id, seconds in zip(ids, (3600, 3000), strict=True):
        Job.objects.filter(id=id).update(state=State.SUCCEEDED, finished_at=later(-seconds), queue="drill")
    assert {account.id: account.old for account in Books("run").accounts()} == {ids[0]: True, ids[1]: False}


# --- what it tells ---


def _outcome(tmp_path: Path, *lines: str) -> Outcome:
    told = Journal(tmp_path / "journal")
    told.path.write_text("".join(f"{line}\n" for line in lines))
    return Outcome("run", 7, told, judge(told.entries(), [], 3), told.entries())


def test_the_table_counts_the_seconds_from_the_mending_of_a_fault(tmp_path: Path) -> None:
    outcome = _outcome(
        tmp_path,
        "10 start a 1 t1",
        "11 strike 1 worker_killed",
        "15 mended 1 a",
        "15.5 end x 1 tx",
        "16 start b 1 t2",
        "17 end b 1 t2",
        "18 start a 2 t3",
        "20 end a 2 t3",
        "30 strike 2 worker_killed",
        "31 mended 2 -",
        "32 start c 1 t4",
        "35 end c 1 t4",
        "40 strike 3 Redis_flushed",
        "41 mended 3 d",
        "42 overdue 3",
        "43 strike 4 beat_killed",
        "44 void 4",
        "45 mended 4 e",
        "46 revived worker-drill-1",
        "50 strike 5 beat_killed",
    )
    assert report.table(outcome) == [
        dict(zip(report.COLUMNS, ("Redis flushed", 1, 1, None, None, None, None, 1), strict=True)),
        dict(zip(report.COLUMNS, ("worker killed", 2, 1, 3.0, 4.0, 5.0, 5.0, 0), strict=True)),
    ]
    assert report.facts(outcome)["revived"] == {"worker-drill-1": 1}
