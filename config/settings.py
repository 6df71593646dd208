"""Settings, and the only place that reads the environment (names: README, *Settings*)."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if (BASE_DIR / ".env").exists():
    environ.Env.read_env(BASE_DIR / ".env")

# --- Where the machine lives -------------------------------------------------------------------

DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()


def _development() -> dict[str, Any]:
    """What `make run` left for the commands beside it: its Valkey's URL; its presence means development."""
    try:
        return dict(json.loads((DATA_DIR / "development.json").read_text()))
    except (OSError, ValueError):
        return {}


DEVELOPMENT = _development()
# A server that was given its key is none of development's, whatever lies in DATA_DIR.
DEBUG = env.bool("DEBUG", default=bool(DEVELOPMENT) and not env("SECRET_KEY", default=""))


def _secret_key() -> str:
    """The key from the environment; in development one is made once and kept in DATA_DIR."""
    if key := env("SECRET_KEY", default=""):
        return str(key)
    if not DEBUG:
        raise ImproperlyConfigured("Set SECRET_KEY (any long random text), or DEBUG=1 for development.")
    path = DATA_DIR / "secret_key"
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x") as file:
            path.chmod(0o600)
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()


SECRET_KEY = _secret_key()
HOST = env("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=DEVELOPMENT.get("port", 8000))
HOST_IS_WILDCARD = HOST in ("", "0.0.0.0", "::")  # noqa: S104  (compared, not bound)


def _own_host() -> str:
    """Where this machine reaches its own web, as a URL has it."""
    if HOST_IS_WILDCARD:
        return "127.0.0.1"
    return f"[{HOST}]" if ":" in HOST else str(HOST)


def _local_names() -> list[str]:
    """The names of a development station: bound to every address, it is called by names that nobody knows here."""
    return ["*"] if HOST_IS_WILDCARD else ["localhost", "127.0.0.1", "[::1]"]


OWN_HOST = _own_host()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=_local_names() if DEBUG else [])
if DEBUG:
    ALLOWED_HOSTS.append(OWN_HOST)  # the tasks call the sandbox
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- Django ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "jobs.apps.JobsConfig",
    "dlq.apps.DlqConfig",
    "jobs.work.apps.WorkConfig",
    "jobs.console.site.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_celery_results",
    "ninja",
]
if DEBUG:
    INSTALLED_APPS.append("jobs.sandbox.apps.SandboxConfig")
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "jobs.outage.OutageMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "jobs.console.strictness.StrictConsoleMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
MEDIA_ROOT = DATA_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- The database: the truth -------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'stationmaster.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Writers wait for one another instead of failing: WAL, and the write lock taken at BEGIN.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # A server that is gone without a word (its host, the network) is noticed within seconds, not by TCP's quarter of
    # an hour: 5 s to connect, 15 s for an answer to what was sent, a silent connection is probed after 10 s.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        **DATABASES["default"].get("OPTIONS", {}),
    }
    DATABASES["default"]["CONN_MAX_AGE"] = 600
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # PgBouncer in transaction mode keeps no cursor over a commit.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True

# --- Redis: the doorbell -----------------------------------------------------------------------

REDIS_URL = env(
    "REDIS_URL",
    default=env("CELERY_BROKER_URL", default=DEVELOPMENT.get("redis_url", "redis://127.0.0.1:6379/0")),
)

#: Without a broker of one's own, `make run` starts a Valkey.
REDIS_EMBEDDED = not (env("REDIS_URL", default="") or env("CELERY_BROKER_URL", default=""))

# --- Celery ------------------------------------------------------------------------------------

RESULT_BACKEND = "jobs.ledger.results:LedgerBackend"
if env("CELERY_RESULT_BACKEND", default=RESULT_BACKEND) != RESULT_BACKEND:
    raise ImproperlyConfigured(
        "Unset CELERY_RESULT_BACKEND: results are stored with the job's end in one transaction, "
        "which no other backend can do. They live in the database, in django-celery-results' tables."
    )

CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = RESULT_BACKEND
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = env.int("RESULT_EXPIRES", default=3600)
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
#: Seconds a stopping worker waits for running jobs before it hands them back (with REMAP_SIGTERM=SIGQUIT). A container
#: is killed after 10 s unless it is given more.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = env.float("SOFT_SHUTDOWN_TIMEOUT", default=6)
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ROUTES = {
    "send_email": {"queue": "emails"},
    "process_image": {"queue": "heavy"},
    "process_payment": {"queue": "payments"},
    "sync_data": {"queue": "default"},
}
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONSUMER = "jobs.ledger.consumer:LedgerConsumer"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BEAT_SCHEDULER = "jobs.beat:LedgerScheduler"
CELERY_IMPORTS = tuple(env.list("JOBS_TASK_MODULES", default=[]))
# Celery's Django fixup would close the database connection around every task.
CELERY_DB_REUSE_MAX = 1_000_000_000
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
    "global_keyprefix": "stationmaster:",
    "priority_steps": list(range(10)),
    "queue_order_strategy": "priority",
    # A popped hint is not registered in Redis again: the table has the job, and a full Redis is no obstacle.
    "ack_emulation": False,
    # Of use only where somebody switches that emulation on; must exceed every hard limit then.
    "visibility_timeout": env.int("VISIBILITY_TIMEOUT", default=420),
    # A connection that answers nothing is dropped after this many seconds (kombu looks as often).
    "health_check_interval": 4,
    "socket_connect_timeout": 0.5,
    "socket_timeout": 1,
    "socket_keepalive": True,
    # kombu's own reconnecting would hold a caller for seconds (the ring has a breaker instead).
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}

# --- The machine (typed and explained in jobs/conf.py) -----------------------------------------


def _more_queues() -> dict[str, int]:
    """`reports:4,mail:10` as {"reports": 4, "mail": 10}."""
    queues: dict[str, int] = {}
    for entry in env.list("JOBS_QUEUES", default=[]):
        name, _, concurrency = entry.strip().partition(":")
        if not name or not (concurrency or "1").isdigit() or int(concurrency or 1) < 1:
            raise ImproperlyConfigured(f"JOBS_QUEUES: {entry!r} is not name:concurrency, such as reports:4.")
        queues[name] = int(concurrency or 1)
    return queues


JOBS = {
    "QUEUES": _more_queues(),
    "TIME_SCALE": env.float("JOBS_TIME_SCALE", default=1.0),
    "RETENTION_DAYS": env.int("RETENTION_DAYS", default=30),
    "UNKNOWN_TASK_PATIENCE": env.float("UNKNOWN_TASK_PATIENCE", default=86_400),
    "ALLOW_DRILL": env.bool("JOBS_ALLOW_DRILL", default=False),
    "ALLOW_UNSAFE_BROKER": env.bool("JOBS_ALLOW_UNSAFE_BROKER", default=False),
}

# --- What the built-in tasks talk to -----------------------------------------------------------

SANDBOX_URL = f"http://{OWN_HOST}:{PORT}/sandbox"


def _outside(name: str, sandbox_path: str) -> str:
    """An outside service's URL; in DEBUG the sandbox answers for it."""
    return str(env(name, default=f"{SANDBOX_URL}/{sandbox_path}" if DEBUG else ""))


MAIL_API_URL = "" if env("EMAIL_URL", default="") else _outside("MAIL_API_URL", "mail")
PAYMENT_API_URL = _outside("PAYMENT_API_URL", "payments")
CRM_URL = _outside("CRM_URL", "crm/contacts")
HEALTH_CHECK_URLS = env.list("HEALTH_CHECK_URLS", default=[f"http://{OWN_HOST}:{PORT}/healthz"] if DEBUG else [])
REPORT_RECIPIENT = env("REPORT_RECIPIENT", default="reports@example.com" if DEBUG else "")
OUTBOUND_ALLOWED_HOSTS = env.list("OUTBOUND_ALLOWED_HOSTS", default=[])
if DEBUG:
    OUTBOUND_ALLOWED_HOSTS.append(OWN_HOST)  # the sandbox
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="stationmaster@localhost")
if EMAIL_URL := env("EMAIL_URL", default=""):
    vars().update(env.email_url("EMAIL_URL"))
if MAIL_API_URL:
    EMAIL_BACKEND = "jobs.work.mail.ApiMailBackend"

# --- Web ---------------------------------------------------------------------------------------

ADMIN_USERNAME = env("ADMIN_USERNAME", default="admin")
ADMIN_PASSWORD = env("ADMIN_PASSWORD", default="")
# Two processes outlive the crash of one. A thread may be held for 30 s by GET /tasks/{id}?wait=30.
WEB_PROCESSES = min(4, max(2, os.cpu_count() or 1))
WEB_THREADS = 16
METRICS_PUBLIC = env.bool("METRICS_PUBLIC", default=False)
LOGIN_URL = "admin:login"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("COOKIES_SECURE", default=False)

# --- Logs: one JSON object a line --------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"job": {"()": "jobs.logs.JobFilter"}},
    "formatters": {"json": {"()": "jobs.logs.JobFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["job"]}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "PIL": {"level": "INFO"},
        # A refused request is an answer, not an event of the machine.
        "django.request": {"level": "ERROR"},
    },
}
