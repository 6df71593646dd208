"""The one door to the outside over HTTP: public addresses only, checked where the connection is made.

Errors that leave a task carry their facts as `args` and say their sentence in `__str__`: Celery makes them again from
`args` wherever a result is asked for.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import httpx
from django.conf import settings

from jobs.errors import TaskFailure
from jobs.work.addresses import GuardedTransport

MAX_REDIRECTS = 5
MAX_BYTES = 10 * 1024 * 1024


class UrlRefused(TaskFailure):
    """A URL that is not one of HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)

    def __str__(self) -> str:
        return f"{self.url!r} is not a URL of the form http://host/path or https://host/path."


class BodyTooLarge(TaskFailure):
    """An answer over the size limit (bytes)."""

    def __init__(self, url: str, limit: int) -> None:
        self.url, self.limit = url, limit
        super().__init__(url, limit)

    def __str__(self) -> str:
        return f"{self.url} answers more than {self.limit:,} bytes."


class RequestRefused(httpx.HTTPError):
    """A client error (4xx), with what the server said. Worth another try, as every error of HTTP is."""

    def __init__(self, url: str, status: int, said: str = "") -> None:
        super().__init__(url)
        self.args = (url, status, said)
        self.url, self.status, self.said = url, status, said

    def __str__(self) -> str:
        return f"{self.url} refuses the request: {self.status} {self.said}".rstrip()


@dataclass(frozen=True)
class Answer:
    """What a GET brought: the URL after redirects, and the body."""

    url: str
    body: bytes


def client(timeout: float, allowed: Collection[str] = ()) -> httpx.Client:
    """An HTTP client (seconds) that connects to public addresses, to OUTBOUND_ALLOWED_HOSTS and to `allowed` hosts.

    It follows no redirects by itself and uses no proxy: behind one, the checked address would not be the reached one.
    """
    return httpx.Client(
        transport=GuardedTransport({*settings.OUTBOUND_ALLOWED_HOSTS, *allowed}),
        timeout=timeout,
        trust_env=False,
        max_redirects=MAX_REDIRECTS,
        headers={"User-Agent": "stationmaster", "Accept-Encoding": "identity"},
        event_hooks={"request": [_http_only]},
    )


def get(url: str, *, timeout: float, limit: int = MAX_BYTES) -> Answer:
    """The body behind an untrusted URL, at most `limit` bytes, in at most `timeout` seconds.

    Raises httpx.HTTPError (worth another try) or a TaskFailure (not worth one).
    """
    checked_url(url)
    deadline = time.monotonic() + timeout
    with client(timeout) as http, http.stream("GET", url, follow_redirects=True) as response:
        response.raise_for_status()
        return Answer(str(response.url), b"".join(_chunks(response, limit, deadline)))


def accepted(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success; RequestRefused for a 4xx, httpx.HTTPStatusError for another status."""
    if response.is_client_error:
        raise RequestRefused(str(response.request.url), response.status_code, response.text[:200])
    return response.raise_for_status()


def checked_url(url: str) -> httpx.URL:
    """The parsed URL; UrlRefused if it is not http or https with a host."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise UrlRefused(str(url)) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UrlRefused(url)
    return parsed


def _http_only(request: httpx.Request) -> None:
    """Asked for every request, so also after every redirect."""
    checked_url(str(request.url))


def _chunks(response: httpx.Response, limit: int, deadline: float) -> Iterable[bytes]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TaskFailure(f"{response.url} answers compressed although asked not to.")
    read = 0
    for chunk in response.iter_raw():
        read += len(chunk)
        if read > limit:
            raise BodyTooLarge(str(response.url), limit)
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("The answer takes too long.", request=response.request)
        yield chunk
