"""Which processes belong to a station, also those that left its process groups and sessions."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on a descendant whose parent dies becomes our child (Linux), so that none gets out of sight."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury_orphans(own: Collection[int]) -> None:
    """Collect the exit status of adopted children; those in `own` have their own caretaker."""
    if sys.platform != "linux":
        return
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in own:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def marked(mark: str) -> set[int]:
    """Living processes, but this one, whose environment holds the mark, `NAME=value`."""
    found = _marked_by_proc(mark) if PROC.is_dir() else _marked_by_ps(mark)
    return found - {os.getpid()}


def descendants(of: int | None = None) -> set[int]:
    """Living children of a process (this one), their children, and so on."""
    parents = _parents_by_proc() if PROC.is_dir() else _parents_by_ps()
    family, found = {of or os.getpid()}, set[int]()
    while family:
        family = {pid for pid, parent in parents.items() if parent in family} - found
        found |= family
    return found


def end(find: Callable[[], set[int]], patience: float) -> int:
    """Ask the processes that `find` finds to end, kill what is left after `patience` seconds; says how many there were.

    Only leaders of sessions are asked: each ends its own children in order.
    """
    first = find()
    for pid in {pid for pid in first if _leads(pid)}:
        _send(pid, signal.SIGTERM)
    _wait_until_gone(find, patience)
    kill(find)
    return len(first)


def kill(find: Callable[[], set[int]]) -> None:
    """Kill what `find` finds until it finds nothing (a process may fork while it is hunted)."""
    for _ in range(50):
        if not (pids := find()):
            return
        for pid in pids:
            _send(pid, signal.SIGKILL)
        time.sleep(0.05)


def _wait_until_gone(find: Callable[[], set[int]], patience: float) -> None:
    deadline = time.monotonic() + patience
    while find() and time.monotonic() < deadline:
        time.sleep(0.1)


def _leads(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _marked_by_proc(mark: str) -> set[int]:
    wanted, found = mark.encode(), set[int]()
    for directory in PROC.glob("[0-9]*"):
        with suppress(OSError):  # gone, or another user's
            if wanted in (directory / "environ").read_bytes().split(b"\0"):
                found.add(int(directory.name))
    return found & _parents_by_proc().keys()


def _parents_by_proc() -> dict[int, int]:
    parents = {}
    for directory in PROC.glob("[0-9]*"):
        with suppress(OSError):
            # pid (name) state ppid ...; the name may hold spaces and brackets.
            state, parent = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(directory.name)] = int(parent)
    return parents


def _marked_by_ps(mark: str) -> set[int]:
    lines = (f"{line} " for line in _ps("-E", "-o", "pid=,command="))
    return {int(line.split()[0]) for line in lines if f" {mark} " in line}


def _parents_by_ps() -> dict[int, int]:
    rows = (line.split() for line in _ps("-o", "pid=,ppid=,stat="))
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def _ps(*options: str) -> list[str]:
    return subprocess.run(["ps", "-axww", *options], capture_output=True, text=True, check=True).stdout.splitlines()
