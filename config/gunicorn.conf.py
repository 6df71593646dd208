"""The web server: `gunicorn config.wsgi -c config/gunicorn.conf.py`."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

#: Gunicorn reads this much (bytes) of a body that a refusal left unread, then closes the connection.
READ_AWAY = 64 * 1024

bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
worker_class = "gthread"
workers = settings.WEB_PROCESSES
threads = settings.WEB_THREADS
timeout = 60
graceful_timeout = 4 if settings.DEBUG else 35
keepalive = 5
# Every process replaces itself now and then, not all at once: no leak lives for ever.
max_requests = 20_000
max_requests_jitter = 4_000
# Answers are counted at /metrics; a line for each poll of a live page would bury the rest.
accesslog = None
# Through the root's handler, as JSON; LOG_LEVEL counts here too.
logconfig_dict = {**settings.LOGGING, "loggers": {"gunicorn.error": {"level": "NOTSET", "propagate": True}}}
# Its default place is shared by every station of a user.
control_socket_disable = True


def pre_request(worker: Any, request: Any) -> None:
    """A connection that a refused body would end says so in the answer: Connection: close."""
    headers = dict(request.headers)
    if "TRANSFER-ENCODING" in headers or int(headers.get("CONTENT-LENGTH", 0)) >= READ_AWAY:
        request.force_close()
