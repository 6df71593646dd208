"""The web server: `gunicorn config.wsgi -c config/gunicorn.conf.py`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
# Two processes outlive the crash of one. A thread may be held for 30 s by GET /tasks/{id}?wait=30.
worker_class = "gthread"
workers = min(4, max(2, os.cpu_count() or 1))
threads = 16
timeout = 60
graceful_timeout = 4 if settings.DEBUG else 35
keepalive = 5
# Every process replaces itself now and then, not all at once: no leak lives for ever.
max_requests = 20_000
max_requests_jitter = 4_000
# Answers are counted at /metrics; a line for each poll of a live page would bury the rest.
accesslog = None
errorlog = "-"
logger_class = "gunicorn.glogging.Logger"
# Its default place is shared by every station of a user.
control_socket_disable = True
