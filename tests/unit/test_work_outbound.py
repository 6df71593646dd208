"""Calls to the outside: public addresses only, checked where the connection is made."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from jobs.errors import TaskFailure
from jobs.work import addresses, outbound
from tests.support.outside import Outside, Reply, outside

PRIVATE = (
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "::127.0.0.1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
)


@pytest.fixture
def server() -> Iterator[Outside]:
    with outside() as running:
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names of the test's own, with the addresses they resolve to; every look-up takes the next list."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **kwargs)
        address = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return real(address, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_open_internet_is_not_public(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert addresses.is_public(address)


def test_a_private_address_is_refused_and_never_called(server: Outside, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = []
    with pytest.raises(addresses.AddressRefused, match="OUTBOUND_ALLOWED_HOSTS"):
        outbound.get(server.url(), timeout=5)
    assert server.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
def test_a_private_address_in_another_spelling_is_refused(server: Outside, settings: Any, host: str) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = []
    with pytest.raises((addresses.AddressRefused, outbound.UrlRefused)):
        outbound.get(server.url(host=host), timeout=5)
    assert server.requests == []


def test_an_allowed_host_is_reached_although_private(server: Outside, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    assert outbound.get(server.url("/rows"), timeout=5) == outbound.Answer(server.url("/rows"), b"ok")


def test_a_name_that_is_allowed_keeps_its_host_header(server: Outside, settings: Any, names: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["crm.internal"]
    names["crm.internal"] = ["127.0.0.1"]
    outbound.get(server.url(host="crm.internal"), timeout=5)
    assert server.requests[0].headers["host"] == f"crm.internal:{server.port}"


def test_a_redirect_to_a_private_address_is_refused(server: Outside, settings: Any, names: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["public.test"]
    names["public.test"] = ["127.0.0.1"]
    server.answer = lambda request: Reply(status=302, headers={"Location": server.url("/secret")})
    with pytest.raises(addresses.AddressRefused):
        outbound.get(server.url(host="public.test"), timeout=5)
    assert [request.path for request in server.requests] == ["/"]


def test_a_name_that_turns_private_after_a_first_look_is_refused(server: Outside, settings: Any, names: Any) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = []
    names["rebinding.test"] = ["127.0.0.1"]
    socket.getaddrinfo("rebinding.test", 80)
    with pytest.raises(addresses.AddressRefused):
        outbound.get(server.url(host="rebinding.test"), timeout=5)
    assert server.requests == []


def test_the_connection_is_made_to_the_address_that_was_checked(
    server: Outside, settings: Any, names: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when asked first and private when asked again is asked once."""
    settings.OUTBOUND_ALLOWED_HOSTS = []
    names["rebinding.test"] = ["93.184.216.34", "127.0.0.1"]
    reached: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        reached.append(address[0])
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(httpx.ConnectError):
        outbound.get(server.url(host="rebinding.test"), timeout=5)
    assert reached == ["93.184.216.34"]


@pytest.mark.parametrize("url", ["ftp://example.com/x", "file:///etc/passwd", "http://", "example.com", ""])
def test_what_is_not_a_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(TaskFailure):
        outbound.get(url, timeout=5)


def test_a_redirect_to_another_scheme_is_refused(server: Outside) -> None:
    server.answer = lambda request: Reply(status=302, headers={"Location": "ftp://127.0.0.1/x"})
    with pytest.raises(outbound.UrlRefused):
        outbound.get(server.url(), timeout=5)


def test_redirects_end_somewhere(server: Outside) -> None:
    server.answer = lambda request: Reply(status=302, headers={"Location": "/again"})
    with pytest.raises(httpx.TooManyRedirects):
        outbound.get(server.url(), timeout=5)
    assert len(server.requests) == outbound.MAX_REDIRECTS + 1


def test_a_redirect_is_followed(server: Outside) -> None:
    moved = Reply(status=301, headers={"Location": "/new"})
    server.answer = lambda request: Reply(b"here") if request.path == "/new" else moved
    assert outbound.get(server.url("/old"), timeout=5) == outbound.Answer(server.url("/new"), b"here")


def test_a_body_over_the_limit_is_refused_without_being_read_whole(server: Outside) -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b"x" * 65536

    server.answer = lambda request: Reply(chunks=endless())
    with pytest.raises(outbound.BodyTooLarge):
        outbound.get(server.url(), timeout=10, limit=1_000_000)
    assert len(sent) < 500


def test_an_answer_that_drips_is_given_up_in_time(server: Outside) -> None:
    def dripping() -> Iterator[bytes]:
        while True:
            time.sleep(0.1)
            yield b"x"

    server.answer = lambda request: Reply(chunks=dripping())
    started = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        outbound.get(server.url(), timeout=0.6)
    assert time.monotonic() - started < 3


def test_a_compressed_answer_is_refused_before_it_can_grow(server: Outside) -> None:
    server.answer = lambda request: Reply(b"...", headers={"Content-Encoding": "gzip"})
    with pytest.raises(TaskFailure, match="compressed"):
        outbound.get(server.url(), timeout=5)
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [400, 401, 404, 408, 422, 429])
def test_a_client_error_tells_what_the_server_said(server: Outside, status: int) -> None:
    server.answer = lambda request: Reply(b"no such domain", status)
    with outbound.client(5) as http, pytest.raises(outbound.RequestRefused, match=f"{status} no such domain"):
        outbound.accepted(http.get(server.url()))


@pytest.mark.parametrize("status", [302, 400, 403, 404, 422, 429, 500, 503])
def test_every_error_of_http_is_worth_another_try(server: Outside, status: int) -> None:
    server.answer = lambda request: Reply(b"no", status)
    with outbound.client(5) as http, pytest.raises(httpx.HTTPError, match=str(status)):
        outbound.accepted(http.get(server.url()))


def test_a_name_that_does_not_resolve_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpx.ConnectError):
        outbound.get("http://nowhere.test/", timeout=5)
