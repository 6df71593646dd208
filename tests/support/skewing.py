"""A host whose clock is wrong: Debian's libfaketime, in one process alone."""

import glob
from pathlib import Path

from tests.support.processes import ROOT

#: For processes with threads, as beat is.
LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")
MISSING = "This needs a clock that can be wrong: apt-get install -y libfaketime"


def skewed(offset: str) -> dict[str, str]:
    """The environment of a process whose time of day is off: by `+3h`, `-3h`, or so many seconds, `+3600.000`.

    What measures spans stays right, as on a host: were it moved as well, each wait for a lock would last for ever.
    """
    path = f"{Path(__file__).parent / 'skewed'}:{ROOT}"
    return {"LD_PRELOAD": library(), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONPATH": path}


def library() -> str:
    """Its path; AssertionError with what to install if there is none."""
    found = [path for pattern in LIBRARIES for path in sorted(glob.glob(pattern))]
    assert found, MISSING
    return found[0]
