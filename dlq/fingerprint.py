"""Same cause, same fingerprint: what groups dead letters."""

import hashlib
import re
import sys
import sysconfig
from pathlib import Path

_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line \d+, in (?P<function>.+)$', re.MULTILINE)
_FOREIGN = ("/site-packages/", "/dist-packages/")
_STDLIB = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})


def fingerprint(task: str, error: str, traceback: str) -> str:
    """16 hex digits of the task, the exception's class and the innermost own frame; line numbers don't count."""
    cause = "\0".join((task, error, innermost_own_frame(traceback)))
    return hashlib.sha256(cause.encode()).hexdigest()[:16]


def innermost_own_frame(traceback: str) -> str:
    """`jobs/posting.py post`: the last frame that is neither Python's nor a package's; else ''."""
    own = [frame for frame in _FRAME.finditer(traceback) if _is_own(frame["path"])]
    return f"{_importable(own[-1]['path'])} {own[-1]['function']}" if own else ""


def _is_own(path: str) -> bool:
    foreign = path.startswith((*_STDLIB, "<")) or any(part in path for part in _FOREIGN)
    return not foreign


def _importable(path: str) -> str:
    """The path below the directory it is imported from, so that a deployment elsewhere gives the same cause."""
    roots = [root for root in sys.path if root and path.startswith(f"{root}/")]
    return path[len(max(roots, key=len)) + 1 :] if roots else Path(path).name
