"""Acceptance tests get a station."""

from tests.support.fixtures import *  # noqa: F403
