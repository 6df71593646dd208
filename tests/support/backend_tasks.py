"""Tasks that tell which connections they ran beside."""

import os

from celery import shared_task
from django.db import connection

from jobs import broker


@shared_task
def backend() -> int:
    """The process id of this connection's PostgreSQL backend."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@shared_task
def whereabouts() -> dict[str, int]:
    """The process that runs this body, and the server's names of the connections it uses."""
    return {"pid": os.getpid(), "postgres": backend(), "redis": int(broker.client().client_id())}
