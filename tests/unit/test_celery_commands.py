"""Celery's own commands beside a running station: each sets Django up for itself."""

import os
import subprocess
import sys

import pytest

from tests.support.processes import ROOT
from tests.support.valkey import ValkeyServer


@pytest.mark.parametrize("command", ["status", "inspect active_queues"])
def test_a_question_to_the_workers_is_asked(command: str, bell: ValkeyServer) -> None:
    """With no worker running Celery says so and exits with 69 (unavailable)."""
    asked = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "config", *command.split(), "--timeout", "0.5"],
        check=False,
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "No nodes replied" in asked.stderr, asked.stderr
    assert asked.returncode == 69
