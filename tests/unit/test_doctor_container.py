"""What doctor finds where it runs: DATA_DIR, the spool, the web's openness."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.doctor import container
from jobs.doctor.container import Facts
from tests.support.finding import codes

HEALTHY = Facts("/data", filesystem="ext4", debug=False, host="0.0.0.0", allowed=("jobs.example.com",))


def test_a_good_place_is_fine() -> None:
    assert codes(container.findings(HEALTHY)) == ["fine container.fine"]
    at_home = replace(HEALTHY, debug=True, host="127.0.0.1", allowed=("*",))
    assert codes(container.findings(at_home)) == ["fine container.fine"]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(HEALTHY, refused="Permission denied"), "error container.data_dir"),
        (replace(HEALTHY, filesystem="tmpfs"), "warning container.volatile"),
        (replace(HEALTHY, filesystem="overlay"), "warning container.volatile"),
        (replace(HEALTHY, free=1000), "warning container.disk"),
        (replace(HEALTHY, stale=1), "warning container.spool"),
        (replace(HEALTHY, aside=1), "warning container.aside"),
        (replace(HEALTHY, debug=True), "warning container.debug"),
        (replace(HEALTHY, allowed=("*",)), "warning container.hosts"),
    ],
)
def test_each_fault_is_found_alone(facts: Facts, code: str) -> None:
    assert codes(container.findings(facts)) == [code]


def test_the_nearest_mount_above_a_directory_is_its_file_system() -> None:
    mounts = "overlay / overlay rw 0 0\n/dev/sda1 /data ext4 rw 0 0\ntmpfs /data/spool/x tmpfs rw 0 0\nbroken\n"
    assert container.filesystem(Path("/data/spool"), mounts) == "ext4"
    assert container.filesystem(Path("/data/spool/x/y"), mounts) == "tmpfs"
    assert container.filesystem(Path("/database"), mounts) == "overlay"
    assert container.filesystem(Path("/data"), "") == ""


def test_a_directory_that_takes_files_is_not_refused(tmp_path: Path, settings) -> None:
    settings.DATA_DIR = tmp_path / "new"
    assert container.gather().refused == ""


def test_a_directory_that_takes_none_is_refused_with_its_reason(tmp_path: Path, settings) -> None:
    (tmp_path / "file").write_text("")
    settings.DATA_DIR = tmp_path / "file"
    facts = container.gather()
    assert facts.refused
    assert codes(container.findings(replace(HEALTHY, refused=facts.refused))) == ["error container.data_dir"]


def test_old_entries_of_the_spool_are_counted_and_young_ones_are_not(tmp_path: Path, settings) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / "spool").mkdir()
    for name, age in (("old.entry", 400), ("young.entry", 1), ("odd.unreadable", 1)):
        path = tmp_path / "spool" / name
        path.write_text("")
        os.utime(path, (time.time() - age, time.time() - age))
    facts = container.gather()
    assert (facts.stale, facts.aside) == (1, 1)
