"""Letters of one cause share a fingerprint; letters of two don't."""

import json
import sys
import traceback
from pathlib import Path

import httpx

from dlq.fingerprint import fingerprint, innermost_own_frame

ROOT = Path(__file__).resolve().parents[2]


def _traceback_of(call) -> str:
    try:
        call()
    except Exception:
        return traceback.format_exc()
    raise AssertionError("the call did not fail")


def _charge() -> None:
    raise ValueError("amount")


def _parse() -> None:
    json.loads("{")


def test_the_innermost_own_frame_names_file_and_function() -> None:
    assert innermost_own_frame(_traceback_of(_charge)).endswith("test_dlq_fingerprint.py _charge")


def test_frames_of_the_standard_library_do_not_count() -> None:
    assert "json/decoder.py" in _traceback_of(_parse)
    assert innermost_own_frame(_traceback_of(_parse)).endswith("_parse")


def test_frames_of_packages_do_not_count() -> None:
    text = _traceback_of(lambda: httpx.get("no-scheme"))
    assert "site-packages" in text
    assert innermost_own_frame(text).endswith("<lambda>")


def test_another_line_of_the_same_function_is_the_same_cause() -> None:
    text = _traceback_of(_charge)
    moved = text.replace(", line ", ", line 9")
    assert moved != text
    assert fingerprint("pay", "ValueError", text) == fingerprint("pay", "ValueError", moved)


def test_another_place_of_deployment_is_the_same_cause(monkeypatch) -> None:
    here = f'  File "{ROOT}/jobs/posting.py", line 3, in post\n'
    monkeypatch.setattr(sys, "path", [str(ROOT), "/srv/app", *sys.path])
    there = '  File "/srv/app/jobs/posting.py", line 3, in post\n'
    assert innermost_own_frame(here) == innermost_own_frame(there) == "jobs/posting.py post"


def test_another_task_error_or_function_is_another_cause() -> None:
    text = _traceback_of(_charge)
    causes = {
        fingerprint("pay", "ValueError", text),
        fingerprint("refund", "ValueError", text),
        fingerprint("pay", "KeyError", text),
        fingerprint("pay", "ValueError", _traceback_of(_parse)),
    }
    assert len(causes) == 4


def test_a_death_without_traceback_has_a_fingerprint_too() -> None:
    assert len(fingerprint("pay", "WorkerLostError", "")) == 16
