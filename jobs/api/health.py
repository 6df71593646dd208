"""Whether this process lives, and whether what it needs answers."""

from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse
from ninja import Router

from jobs import broker
from jobs.api.answers import reply
from jobs.api.problems import problem

router = Router(tags=["health"])


@router.get("/healthz", auth=None, summary="Is this process alive?")
def healthz(request: HttpRequest) -> HttpResponse:
    return reply({"status": "ok"})


@router.get("/readyz", auth=None, summary="Do the database and Redis answer?")
def readyz(request: HttpRequest) -> HttpResponse:
    parts = {"database": _database(), "redis": _redis()}
    failing = [name for name, error in parts.items() if error]
    if not failing:
        return reply({"status": "ok", **dict.fromkeys(parts, "ok")})
    faults = [{"loc": [name], "msg": parts[name]} for name in failing]
    return problem(503, f"Not ready: {', '.join(failing)} does not answer.", faults)


def _database() -> str:
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        connections["default"].close()
        return type(error).__name__
    return ""


def _redis() -> str:
    return "" if broker.alive() else "No answer to PING"
