"""What README and docs name is there: files, commands, settings, calls, code, links."""

import re
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

from bench.cases import CASES
from config.urls import api  # type: ignore[attr-defined]
from jobs.api import metrics
from jobs.errors import TaskFailure
from jobs.states import MOVES, Reason, State
from tests.support.composing import SERVICES
from tests.support.processes import ROOT

README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
PAGES = {"README.md": README, **DOCS}
ALL = "\n".join(PAGES.values())
SETTINGS = (ROOT / "config" / "settings.py").read_text()
#: The example of the README, and what only a running station has.
NOT_HERE = {"jobs/tasks/count_words.py"}
#: .env.example only: docker-compose.yml makes DATABASE_URL of the one, Flower reads the other.
OF_COMPOSE = {"POSTGRES_PASSWORD", "FLOWER_BASIC_AUTH"}
#: For `make run`, or settled by the image.
OF_ONE_MACHINE = {"DATA_DIR", "DEBUG", "HOST", "PORT", "ADMIN_USERNAME", "ADMIN_PASSWORD"}


def read_by_settings() -> set[str]:
    return set(re.findall(r'\b(?:env(?:\.\w+)?|_outside)\(\s*"([A-Z_]+)"', SETTINGS))


def in_the_table() -> set[str]:
    table = README.partition("## Settings")[2].partition("## Decisions")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`([A-Z_]+)`", cell)}


def test_the_table_of_settings_is_what_the_settings_read() -> None:
    assert in_the_table() == read_by_settings()


def test_env_example_names_only_what_is_read() -> None:
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert named - OF_COMPOSE <= read_by_settings()
    assert "SECRET_KEY" in named


def test_compose_passes_on_what_env_example_names() -> None:
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    for service, described in SERVICES.items():
        assert named - OF_COMPOSE - OF_ONE_MACHINE <= set(described["environment"]), service


def test_every_make_word_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`make (\w+)`", ALL)) | set(re.findall(r"^make (?:-C \S+ )?(\w+)", ALL, re.MULTILINE))
    assert "run" in named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_every_command_and_its_verb_is_there() -> None:
    named = set(
        re.findall(r"manage\.py (\w+)(?: (list|show|cancel|requeue|discard|pause|resume|purge|preview|sync)\b)?", ALL)
    )
    assert {("enqueue", ""), ("dead_letters", "requeue")} <= named
    commands = get_commands()
    for name, verb in named:
        assert name in commands, name
        if verb:
            parser = load_command_class(str(commands[name]), name).create_parser("manage.py", name)
            assert re.search(rf"^ +{verb}  ", parser.format_help(), re.MULTILINE), f"{name} {verb}"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = set(re.findall(r"\b((?:jobs|dlq|config|tests|docs)/[\w./-]*\w/?)", PAGES[page]))
    beside = set(re.findall(r"\]\(([^)#:]+)\)", PAGES[page]))
    folder = ROOT if page == "README.md" else ROOT / "docs"
    assert [path for path in named - NOT_HERE if not (ROOT / path).exists()] == []
    assert [path for path in beside if not (folder / path).exists()] == []


def test_every_call_is_in_the_openapi_document() -> None:
    paths = api.get_openapi_schema()["paths"]
    calls = set(re.findall(r"`(GET|POST) (/[^`?]*)(?:\?[^`]*)?`", ALL))
    assert ("POST", "/tasks/{task_name}") in calls
    known = {(verb.upper(), _unnamed(path)) for path, verbs in paths.items() for verb in verbs}
    assert {call for call in calls if (call[0], _unnamed(call[1])) not in known} == set()
    told = set(re.findall(r"`(GET|POST) (/[^`?]*)(?:\?[^`]*)?`", DOCS["api.md"]))
    assert known <= {(verb, _unnamed(path)) for verb, path in told}, "docs/api.md leaves a call out"


def test_every_metric_is_one_of_ours(db: None) -> None:
    ours = {name for name, *_ in [*metrics._own(), *metrics.sources]}
    named = set(re.findall(r"`stationmaster_(\w+)`", ALL))
    assert "queue_oldest_wait_seconds" in named
    assert named <= ours


def test_the_examples_of_a_view_and_of_a_retry_are_the_code() -> None:
    for path in ("jobs/demo/views.py", "jobs/tasks/send_email.py"):
        code = (ROOT / path).read_text()
        quoted = [block for block in _blocks("python", README) if block.split("\n")[1].startswith("def send")]
        assert any(block in code for block in quoted), path


def test_the_example_of_a_task_is_one_file_that_works() -> None:
    code = next(block for block in _blocks("python", README) if block.startswith('"""count_words'))
    found: dict[str, Any] = {}
    exec(re.sub(r"@shared_task.*\n", "", code), found)
    assert found["count_words"]("to be or not to be") == {"to": 2, "be": 2, "or": 1}
    with pytest.raises(TaskFailure):
        found["count_words"](" ")


def test_the_machine_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"^ +(\w+) --> (\w+): (.+)$", DOCS["architecture.md"], re.MULTILINE)
    told = {(source, target, name) for source, target, names in drawn for name in names.split(", ")}
    real = {(str(s), str(move.target), name) for name, move in MOVES.items() for s in move.sources}
    assert told == real
    for word in (*State.values, *Reason.values):
        assert word in DOCS["architecture.md"], word


@pytest.mark.parametrize(("page", "folders"), [("reliability.md", ["faults"]), ("schedules.md", ["faults", "unit"])])
def test_each_row_of_a_table_of_cases_names_tests_that_are_there(page: str, folders: list[str]) -> None:
    rows = [line.rsplit("|", 2)[1] for line in DOCS[page].splitlines() if "`test_" in line]
    assert len(rows) > 20
    for call in (call for row in rows for call in row.strip().strip("`").split(";")):
        files, _, words = call.strip().partition(" -k ")
        paths = [ROOT / "tests" / folder / file for file in files.split() for folder in folders]
        code = "".join(path.read_text() for path in paths if path.exists())
        names = " ".join(re.findall(r"^def (test_\w+)", code, re.MULTILINE))
        assert names, files
        for word in words.strip('"').split(" or ") if words else ():
            assert word in names, call


def test_each_case_of_the_page_on_schedules_can_be_run_and_none_is_left_out() -> None:
    named = re.findall(r"\| `([\w-]+)` \| `test_", DOCS["schedules.md"])
    assert sorted(named) == sorted(CASES)


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 300_000] == []


def test_nothing_leads_out_of_the_project() -> None:
    hosts = set(re.findall(r"https?://(\w[\w.-]*)", "\n".join([ALL, (ROOT / "CHANGELOG.md").read_text()])))
    assert hosts <= {"127.0.0.1", "keepachangelog.com", "jobs.example.com"}


def _unnamed(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
