"""The environment variables that tests set, here and in the processes they start."""

import os
from pathlib import Path

#: Set by nobody but the tests: what the developer has in the shell must not reach them.
OURS = (
    "DATABASE_URL REDIS_URL CELERY_BROKER_URL CELERY_RESULT_BACKEND DATA_DIR HOST PORT SECRET_KEY DEBUG ALLOWED_HOSTS "
    "CSRF_TRUSTED_ORIGINS JOBS_TASK_MODULES JOBS_QUEUES JOBS_TIME_SCALE ADMIN_USERNAME ADMIN_PASSWORD MAIL_API_URL "
    "EMAIL_URL PAYMENT_API_URL CRM_URL HEALTH_CHECK_URLS REPORT_RECIPIENT OUTBOUND_ALLOWED_HOSTS RETENTION_DAYS "
    "RESULT_EXPIRES METRICS_PUBLIC DEFAULT_FROM_EMAIL LOG_LEVEL COOKIES_SECURE VISIBILITY_TIMEOUT "
    "SOFT_SHUTDOWN_TIMEOUT UNKNOWN_TASK_PATIENCE JOBS_ALLOW_UNSAFE_BROKER JOBS_ALLOW_DRILL"
).split()

#: Ordinary third-party tasks, loaded without any change.
PLAIN_TASKS = "tests.plain_tasks"


def environment(data: Path, database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    """All variables of a process under test; every time constant at a tenth."""
    return {
        **{name: value for name, value in os.environ.items() if name not in OURS},
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATA_DIR": str(data),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DEBUG": "1",
        "SECRET_KEY": "a key for tests that is long enough to please every check of it, and is worth nothing",
        "JOBS_TASK_MODULES": PLAIN_TASKS,
        "JOBS_TIME_SCALE": "0.1",
        "JOURNAL": str(data / "journal"),
        "PYTHONUNBUFFERED": "1",
        **more,
    }
