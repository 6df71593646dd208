"""Which addresses tasks may reach, checked where the connection is made: what a name meant before doesn't count."""

import ipaddress
import socket
import ssl
from collections.abc import Collection, Iterable
from functools import cache

import httpcore
import httpx

from jobs.errors import TaskFailure


class AddressRefused(TaskFailure):
    """A host that tasks may not reach."""

    def __init__(self, host: str, addresses: Iterable[str] = ()) -> None:
        self.host, self.addresses = host, sorted(addresses)
        super().__init__(self.host, self.addresses)

    def __str__(self) -> str:
        where = f" ({', '.join(self.addresses)})" if self.addresses else ""
        return (
            f"{self.host}{where} is not a public address. "
            "If tasks shall reach it, add the host to the setting OUTBOUND_ALLOWED_HOSTS."
        )


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also when an IPv4 address hides in an IPv6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (hidden := _hidden_ipv4(ip)):
        ip = hidden
    local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or local)


def _hidden_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


class GuardedTransport(httpx.HTTPTransport):
    """Connects to public addresses and to the allowed hosts (names or addresses); AddressRefused for others."""

    def __init__(self, allowed: Collection[str]) -> None:
        # httpx has no parameter for the network backend; the pool is made here as its own constructor makes it.
        self._pool = httpcore.ConnectionPool(ssl_context=_ssl_context(), network_backend=_GuardedBackend(allowed))


class _GuardedBackend(httpcore.SyncBackend):
    """Resolves, checks, and connects to the checked address; TLS and Host keep the name."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = {host.strip("[]").lower() for host in allowed}

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address.")
        for address in self._permitted(host, port):
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _permitted(self, host: str, port: int) -> list[str]:
        found = _addresses(host, port)
        if host.lower() in self._allowed:
            return found
        permitted = [address for address in found if address in self._allowed or is_public(address)]
        if found and not permitted:
            raise AddressRefused(host, found)
        return permitted


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} can't be resolved: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
