"""A task that tells which database connection it ran beside."""

from celery import shared_task
from django.db import connection


@shared_task
def backend() -> int:
    """The process id of this connection's PostgreSQL backend."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
