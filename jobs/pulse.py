"""Signs of life for a container's probe: a file that a worker's event loop or a beat's scheduler touches.

It asks neither Redis nor the database: an outage of theirs is no reason to restart a worker.
"""

import os
import re
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from jobs.conf import conf

PROC = Path("/proc")
#: The files that this process has made.
_made: set[Path] = set()


@dataclass(frozen=True)
class Pulse:
    """The last sign of life of one process."""

    name: str
    pid: int
    age: float

    @property
    def fresh(self) -> bool:
        return self.age <= bound()


def beat(kind: str, name: str = "") -> None:
    """This process lives, now. `kind` is worker or beat. A disk that can't be written stops nobody."""
    path = _path(kind, name)
    now = time.time()
    try:
        if path not in _made:
            _make(path)  # also over that of an earlier process of this id
        try:
            os.utime(path, (now, now))
        except FileNotFoundError:
            _make(path)
    except OSError:
        pass  # the probe says so: it finds no fresh pulse


def read(kind: str) -> list[Pulse]:
    """The pulses of this kind of process on this host, freshest first; files of processes that ended are removed."""
    pulses = [pulse for path in directory().glob(f"{kind}-*.*.*") if (pulse := _pulse(path))]
    return sorted(pulses, key=lambda pulse: pulse.age)


def verdict(kind: str) -> tuple[bool, str]:
    """Whether every process of this kind on this host lives (at least one must), and one sentence."""
    pulses = read(kind)
    if not pulses:
        return False, f"No {kind} runs on this host with the DATA_DIR that this command has."
    stale = [f"{each.name} (pid {each.pid}) for {each.age:.0f} s" for each in pulses if not each.fresh]
    if stale:
        return False, f"No sign of life, though {bound():g} s are the bound: {', '.join(stale)}."
    return True, f"Alive: {', '.join(f'{each.name} (pid {each.pid})' for each in pulses)}."


def probe(kind: str) -> int:
    """`manage.py alive` without Django's apps: prints the verdict, answers the exit code."""
    lives, sentence = verdict(kind)
    (sys.stdout if lives else sys.stderr).write(f"{sentence}\n")
    return 0 if lives else 1


def end(kind: str, name: str = "") -> None:
    """This process ends in order."""
    _path(kind, name).unlink(missing_ok=True)


def bound() -> float:
    """Seconds after which a pulse is stale."""
    return max(conf().pulse_fresh, 3 * conf().heartbeat)


def directory() -> Path:
    return Path(settings.DATA_DIR) / "pulse"


def _path(kind: str, name: str) -> Path:
    """Process ids of another host (a container that shares the directory) mean nothing here: the host is named too."""
    return directory() / f"{kind}-{_safe(name) or kind}.{_safe(socket.gethostname())}.{os.getpid()}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9@_-]", "_", name)[:100]


def _make(path: Path) -> None:
    """Complete from its first moment: written beside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as file:
        file.write(f"{os.getpid()} {time.time():.0f} {_born(os.getpid())}\n")
    os.chmod(file.name, 0o644)  # whoever probes may read it
    os.replace(file.name, path)
    _made.add(path)


def _pulse(path: Path) -> Pulse | None:
    name, host, pid = path.name.partition("-")[2].split(".")
    try:
        age = max(0.0, time.time() - path.stat().st_mtime)
        born = path.read_text().rpartition(" ")[2].strip()
    except FileNotFoundError:
        return None
    here = host == _safe(socket.gethostname())
    lives = here and _runs(int(pid)) and _born(int(pid)) == born
    if (here and not lives) or (not here and age > conf().leftover_after):
        path.unlink(missing_ok=True)
    return Pulse(name, int(pid), age) if lives else None


def _born(pid: int) -> str:
    """When the process began, in ticks since the boot: ids come again, in a restarted container at once. Linux tells;
    elsewhere they are all as old."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "0"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
