"""The project's settings, with a worker that soon loses patience and whose spool has no room."""

from tests.support.hurried_settings import *  # noqa: F403
from tests.support.hurried_settings import JOBS

JOBS = {**JOBS, "SPOOL_BYTES": 0}
