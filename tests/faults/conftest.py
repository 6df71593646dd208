"""Fault tests get a station: `fresh_station` is the test's own, to break things in."""

from tests.support.fixtures import *  # noqa: F403
