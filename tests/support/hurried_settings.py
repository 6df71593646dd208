"""The project's settings, with processes that lose patience with their database after a second or two."""

from config.settings import *  # noqa: F403
from config.settings import DATABASES, JOBS

JOBS = {**JOBS, "PATIENCE": 1.5}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"]["timeout"] = 1
