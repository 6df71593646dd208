"""A host whose clock is wrong: Debian's libfaketime, in one process alone."""

import glob

#: Multi-threaded, as beat is.
LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")


def skewed(offset: str) -> dict[str, str]:
    """What a process needs in its environment to read a clock that is `+3h` or `-3h` off; only the time of day is.

    With the monotonic clock faked as well every wait of a Python lock would last for ever: no host does that.
    """
    return {
        "LD_PRELOAD": _library(),
        "FAKETIME": offset,
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "DJANGO_SETTINGS_MODULE": "tests.support.skewed_settings",
    }


def _library() -> str:
    found = [path for pattern in LIBRARIES for path in sorted(glob.glob(pattern))]
    assert found, "The tests of a skewed clock need libfaketime. Install it: apt-get install -y libfaketime"
    return found[0]
