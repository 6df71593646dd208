"""The machine is whole: every state has its words and a way out, every move its verb, and one place writes it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import states as celery_states

from jobs import lifecycle, models
from jobs.states import (
    CELERY_STATUS,
    ENDED,
    LIVE,
    MOVES,
    REQUEUEABLE,
    WAITING,
    Hold,
    Move,
    Outcome,
    Reason,
    State,
)
from tests.support.processes import ROOT

#: The verbs that make each move.
VERBS = {
    "dispatch": ["dispatch"],
    "claim": ["claim"],
    "succeed": ["succeed"],
    "retry": ["retry", "crash"],
    "release": ["release"],
    "replace": ["replace"],
    "die": ["die", "die_waiting", "fail_replaced"],
    "expire": ["expire"],
    "cancel": ["cancel_waiting", "cancel_running"],
    "requeue": ["requeue"],
}


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_label(state: State) -> None:
    assert state.label
    assert state.label[0].isupper()


@pytest.mark.parametrize("state", State)
def test_every_state_has_celerys_word(state: State) -> None:
    assert CELERY_STATUS[state] in celery_states.ALL_STATES


@pytest.mark.parametrize("state", State)
def test_celery_calls_a_job_ready_when_it_has_ended_and_not_before(state: State) -> None:
    assert (CELERY_STATUS[state] in celery_states.READY_STATES) == (state in ENDED)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_move_out_and_a_move_in(state: State) -> None:
    assert any(state in move.sources for move in MOVES.values())
    assert state == State.SCHEDULED or any(state == move.target for move in MOVES.values())


def test_a_job_lives_or_has_ended() -> None:
    assert set(LIVE) | set(ENDED) == set(State)
    assert not set(LIVE) & set(ENDED)
    assert set(WAITING) == set(LIVE) - {State.RUNNING}
    assert set(REQUEUEABLE) == set(ENDED) - {State.SUCCEEDED}


@pytest.mark.parametrize(("name", "move"), MOVES.items(), ids=MOVES.keys())
def test_every_move_has_its_verb(name: str, move: Move) -> None:
    assert move.sources
    for verb in VERBS[name]:
        assert verb in lifecycle.__all__
        assert callable(getattr(lifecycle, verb))


@pytest.mark.parametrize("words", [Hold, Outcome, Reason])
def test_every_word_has_a_label(words: type[Hold] | type[Outcome] | type[Reason]) -> None:
    assert all(word.label for word in words)


@pytest.mark.parametrize(("column", "words"), [("state", State), ("hold", Hold)])
def test_every_word_fits_its_column(column: str, words: type[State] | type[Hold]) -> None:
    width = models.Job._meta.get_field(column).max_length
    assert width is not None
    assert max(len(word) for word in words) <= width


# --- who writes it ---

JOBS = re.compile(r"\bJob(\(|\.objects)|\bjobs?\.save\b")
WRITING = re.compile(r"(UPDATE|INSERT INTO|DELETE FROM)\s+jobs_job\b", re.IGNORECASE)


def sources() -> Iterator[Path]:
    """Every module of ours but the one place, migrations and the tests."""
    for app in ("jobs", "dlq", "config"):
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts and "lifecycle" not in path.relative_to(ROOT / app).parts[:1]:
                yield path


def writes(tree: ast.AST) -> Iterator[ast.AST]:
    """Calls and assignments that write a state: `update(state=)`, `job.state =`, `bulk_create([Job(`, SQL."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", "")
            by_name = name in ("update", "create", "update_or_create") and any(k.arg == "state" for k in node.keywords)
            if by_name or (name in ("bulk_create", "bulk_update", "save") and JOBS.search(ast.unparse(node))):
                yield node
        elif isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target for target in targets if isinstance(target, ast.Attribute) and target.attr == "state")
        elif isinstance(node, ast.Constant) and WRITING.search(str(node.value)):
            yield node


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_state_is_written_in_one_place_only(path: Path) -> None:
    found = [f"line {getattr(node, 'lineno', '?')}" for node in writes(ast.parse(path.read_text()))]
    assert not found, f"{path} writes a job's state at {', '.join(found)}: use a verb of jobs.lifecycle"


@pytest.mark.parametrize(
    "line",
    [
        'rows.update(state="dead")',
        "job.state = State.DEAD",
        'Job.objects.bulk_create([Job(state="queued")])',
        "job.save()",
        "cursor.execute(\"UPDATE jobs_job SET state = 'dead'\")",
    ],
)
def test_a_write_elsewhere_would_be_seen(line: str) -> None:
    assert list(writes(ast.parse(line)))
