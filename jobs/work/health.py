"""Whether the addresses in HEALTH_CHECK_URLS answer."""

import time
from collections.abc import Sequence
from typing import Any

import httpx

from jobs.work import outbound

#: Seconds for one address.
TIMEOUT = 10


class Unhealthy(Exception):
    """One or more addresses don't answer well."""

    def __init__(self, checks: Sequence[dict[str, Any]]) -> None:
        self.checks = list(checks)
        super().__init__(self.checks)

    def __str__(self) -> str:
        return "; ".join(f"{check['url']}: {check['status']}" for check in self.checks if not check["ok"])


def check(urls: Sequence[str]) -> dict[str, Any]:
    """Asks each address; returns status and milliseconds of all, raises Unhealthy if one fails."""
    checks = [_check(url) for url in urls]
    if not all(found["ok"] for found in checks):
        raise Unhealthy(checks)
    return {"healthy": len(checks), "checks": checks}


def _check(url: str) -> dict[str, Any]:
    started = time.monotonic()
    status: int | str
    try:
        status = _status(url)
    except (httpx.HTTPError, outbound.UrlRefused) as error:
        status = f"{type(error).__name__}: {error}"
    milliseconds = round((time.monotonic() - started) * 1000)
    return {"url": url, "status": status, "ms": milliseconds, "ok": isinstance(status, int) and status < 400}


def _status(url: str) -> int:
    with (
        outbound.client(TIMEOUT, allowed=[outbound.checked_url(url).host]) as http,
        http.stream("GET", url) as response,
    ):
        return response.status_code
